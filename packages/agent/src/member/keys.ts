/** An agent's keys are made, and sign, by tweetnacl. What only reads them does without it (identity.ts). */
import { randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';
import type { AgentKeys } from './identity.ts';

const secret = (): Uint8Array => new Uint8Array(randomBytes(32));

export function makeKeys(): AgentKeys {
  const [seed, scalar] = [secret(), secret()];
  return {
    identity: { publicKey: nacl.sign.keyPair.fromSeed(seed).publicKey, secretKey: seed },
    tunnel: { publicKey: nacl.box.keyPair.fromSecretKey(scalar).publicKey, secretKey: scalar },
  };
}

/** The identity's signature of the message (Ed25519, RFC 8032), 64 bytes. */
export function signedBy({ identity }: AgentKeys, message: Uint8Array): Uint8Array {
  // tweetnacl's secret key is the seed and then the public key.
  return nacl.sign.detached(message, Buffer.concat([identity.secretKey, identity.publicKey]));
}
