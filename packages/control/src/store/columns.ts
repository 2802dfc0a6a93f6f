/** How values stand in columns, and the statements that follow. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { type AgentRole, isAgentRole, messageOf } from '@weft/proto';

export type Row = Record<string, SQLOutputValue>;

/** What is read is checked: a table edited by hand is reported, not believed. */
export interface Sort<T> {
  /** Throws TypeError. */
  read(value: SQLOutputValue | undefined): T;
  write(value: T): SQLInputValue;
}

/** By the field of a row; the column of `identityKey` is identity_key. */
export type Columns = Readonly<Record<string, Sort<unknown>>>;

export type RowOf<C extends Columns> = { readonly [Name in keyof C]: C[Name] extends Sort<infer T> ? T : never };

function plain<T extends SQLInputValue>(what: string, is: (value: unknown) => value is T): Sort<T> {
  const read = (value: unknown): T => {
    if (is(value)) return value;
    throw new TypeError(`does not hold ${what}`);
  };
  return { read, write: (value) => value };
}

function list<T>(what: string, is: (word: unknown) => word is T): Sort<readonly T[]> {
  const read = (value: SQLOutputValue | undefined): readonly T[] => {
    const words: unknown = JSON.parse(TEXT.read(value));
    if (Array.isArray(words) && words.every(is)) return words;
    throw new TypeError(`does not hold a list of ${what}`);
  };
  return { read, write: (words) => JSON.stringify(words) };
}

function entries<T extends object>(what: string, is: (entry: Partial<T>) => boolean): Sort<readonly T[]> {
  return list(what, (entry): entry is T => typeof entry === 'object' && entry !== null && is(entry));
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isRole = (word: unknown): word is AgentRole => isText(word) && isAgentRole(word);
const areTexts = (words: unknown): boolean => Array.isArray(words) && words.every(isText);

export const TEXT = plain('text', isText);
export const INTEGER = plain('an integer', isInteger);
export const BYTES = plain('bytes', (value): value is Uint8Array => value instanceof Uint8Array);
export const NAMES = list('names', isText);
export const ROLES = list('roles that this version knows', isRole);

/** What a member has by one of its tokens, or by grants. */
export interface MemberRight {
  /** The token that it joined with; empty for what it was granted as a member. */
  readonly tokenId: string;
  /** When it joined with it first, or was granted something last; 0 when that was not kept. Milliseconds since the Unix epoch. */
  readonly sinceMs: number;
  /** Names of services, `kind:KIND` or `*`, sorted. */
  readonly services: readonly string[];
  readonly roles: readonly AgentRole[];
}

export const RIGHTS = entries<MemberRight>(
  'rights',
  ({ tokenId, sinceMs, services, roles }) =>
    isText(tokenId) && isInteger(sinceMs) && areTexts(services) && Array.isArray(roles) && roles.every(isRole),
);

/** What was taken from a member, which no token from before gives it again. */
export interface Taken {
  /** The name of a service, `kind:KIND` or `*`. */
  readonly entry: string;
  /** Place in the log of the change that took it. */
  readonly sequence: number;
}

export const TAKEN = entries<Taken>('what was taken', ({ entry, sequence }) => isText(entry) && isInteger(sequence));

export const FLAG: Sort<boolean> = { read: (value) => INTEGER.read(value) !== 0, write: (value) => (value ? 1 : 0) };
/** A time that has not come is no value. */
export const TIME: Sort<number | undefined> = {
  read: (value) => (value === null ? undefined : INTEGER.read(value)),
  write: (value) => value ?? null,
};

/** A place in the log that has not been told is no value. */
export const PLACE = TIME;

/** Makes a row of what a statement gave; columns that are not of it are passed over. */
export function reader<C extends Columns>(columns: C): (row: Row) => RowOf<C> {
  const each = Object.entries(columns);
  const read = (name: string, sort: Sort<unknown>, row: Row): unknown => {
    try {
      return sort.read(row[columnOf(name)]);
    } catch (error) {
      throw new TypeError(`column ${columnOf(name)} ${messageOf(error)}`, { cause: error });
    }
  };
  return (row) => Object.fromEntries(each.map(([name, sort]) => [name, read(name, sort, row)])) as RowOf<C>;
}

/** One that is there by `keys` gets the values of `replaced`; without them it is an error. */
export function inserter<C extends Columns>(
  database: DatabaseSync,
  table: string,
  columns: C,
  [keys, replaced]: readonly [keys: readonly (keyof C & string)[], replaced: readonly (keyof C & string)[]] = [[], []],
): (row: RowOf<C>) => void {
  const each = Object.entries(columns);
  const names = each.map(([name]) => columnOf(name));
  const update = replaced.map((name) => `${columnOf(name)} = excluded.${columnOf(name)}`);
  const statement = database.prepare(
    `INSERT INTO ${table} (${names.join()}) VALUES (${names.map(() => '?').join()})
     ${keys.length > 0 ? `ON CONFLICT (${keys.map(columnOf).join()}) DO UPDATE SET ${update.join()}` : ''}`,
  );
  return (row) => void statement.run(...each.map(([name, sort]) => sort.write(row[name])));
}

/** Removes the row of these keys. */
export function remover<Key extends string>(
  database: DatabaseSync,
  table: string,
  keys: readonly Key[],
): (row: Readonly<Record<Key, string | number>>) => void {
  const statement = database.prepare(
    `DELETE FROM ${table} WHERE ${keys.map((key) => `${columnOf(key)} = ?`).join(' AND ')}`,
  );
  return (row) => void statement.run(...keys.map((key) => row[key]));
}

function columnOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
