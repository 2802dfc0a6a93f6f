/** Checks of single fields as they come off the wire. Each gives the value back, or throws WireError. */
import { parseHostPort } from '../model/endpoint.ts';
import { WIRE_LIMITS } from '../model/limits.ts';
import { hostNameProblem, serviceNameProblem, tagProblem } from '../model/names.ts';
import { UNSEEN } from '../model/problem.ts';
import { WireError, Wrongs } from './errors.ts';

export function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw new WireError('wire-missing', field, 'not set');
  return value;
}

export function integer(value: number | null | undefined, field: string, least: number, most: number): number {
  const number = value ?? 0;
  if (!Number.isSafeInteger(number) || number < least || number > most) {
    throw new WireError('wire-range', field, `${number} is out of range; expected ${least} to ${most}`);
  }
  return number;
}

/** A counter or a time: what a double holds exactly. */
export function count(value: number | null | undefined, field: string): number {
  return integer(value, field, 0, Number.MAX_SAFE_INTEGER);
}

/** A 32-bit address. Zero is none. */
export function address(value: number | null | undefined, field: string): number {
  return integer(value, field, 1, 0xffffffff);
}

/**
 * Text of at most `most` characters, so that it can stand in a log, on a page and on a terminal: control characters are refused, and
 * others that cannot be seen, which an older sender may mean well, become U+FFFD.
 */
export function text(value: string | null | undefined, field: string, most: number): string {
  const string = value ?? '';
  if (string.length > most) throw new WireError('wire-length', field, `longer than ${most} characters`);
  if (/\p{Cc}/u.test(string)) throw new WireError('wire-form', field, 'holds control characters');
  // No UTF-8 stands for half of one: a client that is strict would refuse all that it is told with.
  if (!string.isWellFormed()) throw new WireError('wire-form', field, 'holds half of a character');
  return string.replace(UNSEEN, '\ufffd');
}

/** The counterpart of `text` for words of the sender's own making, such as an error's: made to fit, never refused. */
export function sentence(words: string, most: number = WIRE_LIMITS.sentence): string {
  return words.replace(UNSEEN, ' ').slice(0, most).toWellFormed();
}

/** An identifier that control made: letters, digits, hyphens and underscores. */
export function identifier(value: string | null | undefined, field: string): string {
  return formed(
    value,
    field,
    /^[A-Za-z0-9_-]{1,64}$/.test(value ?? '') ? undefined : 'expected 1 to 64 letters, digits, - and _',
  );
}

export function serviceName(value: string | null | undefined, field: string): string {
  return formed(value, field, serviceNameProblem(value ?? ''));
}

export function hostName(value: string | null | undefined, field: string): string {
  return formed(value, field, hostNameProblem(value ?? ''));
}

export function tag(value: string | null | undefined, field: string): string {
  return formed(value, field, tagProblem(value ?? ''));
}

export function endpoint(value: string | null | undefined, field: string): string {
  return formed(value, field, (parseHostPort(value ?? '')?.port ?? 0) > 0 ? undefined : 'expected HOST:PORT');
}

function formed(value: string | null | undefined, field: string, problem: string | undefined): string {
  if (problem !== undefined) throw new WireError('wire-form', field, problem);
  return value ?? '';
}

/** Exactly `length` bytes, copied: the wire's buffer may be large and is not ours to keep. */
export function bytes(value: Uint8Array | null | undefined, field: string, length: number): Uint8Array {
  if (value?.length !== length) {
    throw new WireError('wire-length', field, `${value?.length ?? 0} bytes; expected ${length}`);
  }
  return new Uint8Array(value);
}

/** Each element of a list of at most `most`. */
export function list<Wire, Model>(
  values: readonly Wire[] | null | undefined,
  field: string,
  most: number,
  read: (value: Wire, field: string) => Model,
): Model[] {
  const items = values ?? [];
  if (items.length > most)
    throw new WireError('wire-length', field, `${items.length} entries; expected at most ${most}`);
  const wrongs = new Wrongs();
  const known: Model[] = [];
  for (const [index, value] of items.entries()) {
    const model = wrongs.read(() => read(value, `${field}[${index}]`));
    if (wrongs.full) break;
    known.push(model as Model);
  }
  wrongs.throwIfAny();
  return known;
}

/** The parts of a message, each read by its own: what is wrong with several is told together, in this order. */
export function parts<Model extends object>(readers: { readonly [Part in keyof Model]: () => Model[Part] }): Model {
  const wrongs = new Wrongs();
  const read = Object.entries(readers as Record<string, () => unknown>).map(([part, from]) => [
    part,
    wrongs.read(from),
  ]);
  wrongs.throwIfAny();
  return Object.fromEntries(read) as Model;
}
