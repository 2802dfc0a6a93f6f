/** Records of one direction, sealed and opened. */
import { directionKeys, inPlaceKeys, type SEALINGS } from '../noise/pair.fixture.ts';
import { RecordError } from './errors.ts';
import { InPlace } from './in-place.ts';
import { RecordOpener, RecordSealer } from './record.ts';

export type Sealing = readonly [...(typeof SEALINGS)[number], how?: 'in fresh memory' | 'in place'];

export const keys = ([cipher, small]: Sealing, words = 'a key') => directionKeys(cipher, words, small);

export const memory = new InPlace(inPlaceKeys.newKey, 0);

export const placeOf = ([, , how]: Sealing) => (how === 'in place' ? memory : undefined);

export const sealerOf = (sealing: Sealing, counter = 0) => new RecordSealer(keys(sealing), counter, placeOf(sealing));

export const openerOf = (sealing: Sealing, onRecord: (pieces: Buffer[], owned: boolean) => void, counter = 0) =>
  new RecordOpener(keys(sealing), onRecord, counter, placeOf(sealing));

export function sealed(sealer: RecordSealer, ...pieces: readonly Buffer[]): Buffer {
  const emitted: Buffer[] = [];
  sealer.seal(pieces, (piece, owned) => emitted.push(owned ? piece : Buffer.from(piece)));
  return Buffer.concat(emitted);
}

export function collect(sealing: Sealing, counter = 0): { opener: RecordOpener; records: Buffer[] } {
  const records: Buffer[] = [];
  const opener = openerOf(sealing, (pieces) => records.push(Buffer.concat(pieces)), counter);
  return { opener, records };
}

/** Pushes the bytes cut at the given places, each chunk in memory that is overwritten after the call. */
export function pushTorn(opener: RecordOpener, bytes: Buffer, cuts: readonly number[]): void {
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    const chunk = Buffer.from(bytes.subarray(from, cut));
    opener.push(chunk);
    chunk.fill(0xee);
    from = cut;
  }
}

export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RecordError) return error.code;
    throw error;
  }
  return 'no error';
}
