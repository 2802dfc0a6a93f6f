import { HandshakeError } from './errors.ts';
import { HASH_LENGTH } from './symmetric-state.ts';

const VERSION = Buffer.from('weft/1', 'ascii');

/**
 * What both sides must agree on before the first byte: `weft/1` 0..5 · length of the network's name 6 · the name, UTF-8 ·
 * for a handshake inside a session, that session's handshake hash, 32 bytes. Two ends that differ in any of it cannot
 * finish a handshake. Throws HandshakeError 'wrong-length'.
 */
export function prologue(network: string, previousHandshakeHash?: Uint8Array): Buffer {
  const name = Buffer.from(network, 'utf8');
  if (name.length === 0 || name.length > 255) {
    throw new HandshakeError('wrong-length', `a network's name is 1 to 255 bytes, not ${name.length}`);
  }
  if (previousHandshakeHash === undefined) return Buffer.concat([VERSION, Buffer.of(name.length), name]);
  if (previousHandshakeHash.length !== HASH_LENGTH) {
    throw new HandshakeError('wrong-length', `a handshake hash is 32 bytes, not ${previousHandshakeHash.length}`);
  }
  return Buffer.concat([VERSION, Buffer.of(name.length), name, previousHandshakeHash]);
}
