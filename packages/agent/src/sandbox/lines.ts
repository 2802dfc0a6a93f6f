/**
 * The lines that an agent and its sandboxes say to each other over `run.sock`: words with blanks between, of at most 4,096
 * bytes. docs/ARCHITECTURE.md, "A program shut in", has them all.
 */

import { type EgressRights, readRights, writeRights } from '../egress/rights.ts';

/** Of the lines; who speaks another is told to start again by the same version. */
export const LINES_VERSION = '1';
/** Bytes of a line, without its end. */
export const MOST_LINE = 4_096;
/** Of the one line that may be longer: what an agent grants, which a mesh of a thousand services fits into. */
export const MOST_ANSWER = 4 << 20;

/** A word that any text fits into: `%` alone is the empty one. */
export function toWord(text: string): string {
  if (text === '') return '%';
  return text.replace(/[^A-Za-z0-9._:/,=-]+/g, (odd) => [...Buffer.from(odd)].map(writtenByte).join(''));
}

/** Throws URIError for what `toWord` did not write. */
export function fromWord(word: string): string {
  return word === '%' ? '' : decodeURIComponent(word);
}

/** The same of a stranger's word: undefined for what `toWord` did not write. */
function readWord(word: string): string | undefined {
  try {
    return fromWord(word);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    return undefined;
  }
}

function writtenByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** What a sandbox, or who is about to begin one, wants: `hello` and `ask` have the same words behind them. */
export interface Wanted {
  readonly service: string;
  /** What is to be reached outside the mesh, if anything. */
  readonly egress: EgressRights | undefined;
  /** Where the program listens for a declared port when it is another: declared port to its own. */
  readonly ports: ReadonlyMap<number, number>;
}

export function writeWanted({ service, egress, ports }: Wanted): string {
  const moved = [...ports].map(([port, inside]) => `${port}:${inside}`).join(',');
  return [
    LINES_VERSION,
    toWord(service),
    `egress=${egress === undefined ? '' : writeRights(egress)}`,
    `ports=${moved}`,
  ].join(' ');
}

/** Of another version, and what `writeWanted` did not write, `undefined`. Throws nothing: anybody may say it. */
export function readWanted(words: readonly string[]): Wanted | undefined {
  const [version, service = '', egress = '', moved = ''] = words;
  if (version !== LINES_VERSION || !egress.startsWith('egress=')) return undefined;
  const outside = egress.slice('egress='.length);
  const rights = outside === '' ? undefined : readRights(outside);
  if (outside !== '' && rights === undefined) return undefined;
  const ports = new Map<number, number>();
  for (const pair of moved.replace(/^ports=/, '').split(',')) {
    if (pair === '') continue;
    const [port = Number.NaN, inside = Number.NaN] = pair.split(':').map(Number);
    if (!isPort(port) || !isPort(inside)) return undefined;
    ports.set(port, inside);
  }
  const name = readWord(service);
  return name === undefined ? undefined : { service: name, egress: rights, ports };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}

/** What an agent answers who asks whether a sandbox may begin. */
export interface Granted {
  /** Where services are, such as 127.80.0.0/12. */
  readonly range: string;
  /** Directories that the program is not to see. */
  readonly hide: readonly string[];
  readonly network: string;
  readonly host: string;
  /** What calls may be made to, for the program's environment. */
  readonly services: readonly { readonly name: string; readonly address: string; readonly ports: readonly string[] }[];
  /** The ports that the service itself declares. */
  readonly ports: readonly string[];
}
