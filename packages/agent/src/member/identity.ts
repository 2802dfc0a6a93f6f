/** Who this agent is: keys made on this host that never leave it, and the membership that control granted them. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { FileError, readSecretFile, replaceSecretFile } from '@weft/proto/files';
import { z } from 'zod';
import { AgentError } from './errors.ts';
import { refuseNewer } from './form.ts';

export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export interface AgentKeys {
  /** Ed25519 (RFC 8032): what the agent proves itself to control with. The secret is its seed, 32 bytes. */
  readonly identity: KeyPair;
  /** X25519: what other agents know it by. */
  readonly tunnel: KeyPair;
}

export interface Membership {
  readonly agentId: string;
  readonly network: string;
  readonly host: string;
  /** HOST:PORT, in the order to try. */
  readonly controlAddresses: readonly string[];
  /** SHA-256 of control's public key (SubjectPublicKeyInfo), 32 bytes. */
  readonly pin: Uint8Array;
  /** Control forgets it when it goes away, and a token that is still good lets it back in. */
  readonly ephemeral: boolean;
  /** Control has said that it is over. A new token may take its place. */
  readonly revoked: boolean;
}

export interface Identity {
  readonly keys: AgentKeys;
  /** Undefined until a join was answered. */
  readonly membership: Membership | undefined;
}

/** What stands before the 32 bytes of a secret key in its PrivateKeyInfo (RFC 8410). */
const PREFIXES = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
};

/** By node:crypto, which takes a tenth of what tweetnacl takes where nothing was compiled yet, as in each command that reads these. */
function keyPair(curve: keyof typeof PREFIXES, secretKey: Uint8Array): KeyPair {
  const der = Buffer.concat([PREFIXES[curve], secretKey]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  der.fill(0);
  return { publicKey: new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32)), secretKey };
}

const bytes = (length: number) =>
  z.base64url().transform((value, context) => {
    const decoded = new Uint8Array(Buffer.from(value, 'base64url'));
    if (decoded.length !== length) context.addIssue(`expected ${length} bytes`);
    return decoded;
  });

const FORM = 1;

const identityFile = z.strictObject({
  version: z.literal(FORM),
  identitySeed: bytes(32),
  tunnelSecret: bytes(32),
  membership: z
    .strictObject({
      agentId: z.string().min(1),
      network: z.string().min(1),
      host: z.string().min(1),
      controlAddresses: z.array(z.string()).min(1),
      pin: bytes(32),
      ephemeral: z.boolean(),
      revoked: z.boolean(),
    })
    .optional(),
});

/** The identity kept in the directory, or undefined when there is none. Throws AgentError when it cannot be read. */
export async function loadIdentity(directory: string): Promise<Identity | undefined> {
  const path = join(directory, 'identity.json');
  try {
    const content = await readSecretFile(path);
    if (content === undefined) return undefined;
    const read: unknown = JSON.parse(content);
    refuseNewer(path, read, FORM, 'restore the copy of before it, or remove it and join again with a new token');
    const { identitySeed, tunnelSecret, membership } = identityFile.parse(read);
    return {
      keys: { identity: keyPair('ed25519', identitySeed), tunnel: keyPair('x25519', tunnelSecret) },
      membership,
    };
  } catch (cause) {
    // A parser's error may quote the file, and the file holds keys: of that one neither words nor cause are handed on.
    if (cause instanceof AgentError) throw cause;
    if (cause instanceof FileError) throw new AgentError('state-unusable', cause.message, { cause });
    throw new AgentError(
      'state-unusable',
      `cannot use ${path}: it is damaged; restore it, or remove it and join again with a new token`,
    );
  }
}

/** Keeps the identity. Keys are kept before a join is sent, so that one whose answer was lost can be repeated. */
export async function saveIdentity(directory: string, identity: Identity): Promise<void> {
  const encode = (value: Uint8Array) => Buffer.from(value).toString('base64url');
  const { keys, membership } = identity;
  const content: z.input<typeof identityFile> = {
    version: FORM,
    identitySeed: encode(keys.identity.secretKey),
    tunnelSecret: encode(keys.tunnel.secretKey),
    ...(membership && {
      membership: {
        ...membership,
        controlAddresses: [...membership.controlAddresses],
        pin: encode(membership.pin),
      },
    }),
  };
  const path = join(directory, 'identity.json');
  try {
    await replaceSecretFile(path, `${JSON.stringify(content, undefined, 2)}\n`);
  } catch (cause) {
    throw new AgentError('state-unusable', messageOf(cause), { cause });
  }
}
