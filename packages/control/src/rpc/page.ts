/**
 * Pages of listings, as google.aip.dev/158 has them. A page begins after an entry and not after a number of them, so that what
 * comes or goes between two pages hides no other entry, and shows none twice.
 */
import { ADMIN_LIMITS, type FieldProblem, problem, problemIf } from '@weft/proto';
import { RequestError } from '../admin/errors.ts';

/** What an entry is found by and the order of its listing: numbers rise, so what is newest first has negative ones. */
export type Key = readonly (string | number)[];

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** A listing: what is asked for, which its tokens are good for alone, and a key such as its own. */
export interface Listing {
  readonly of: readonly string[];
  readonly form: Key;
}

export interface Page {
  readonly listing: Listing;
  readonly size: number;
  /** Of the last entry of the page before; undefined for the first page. */
  readonly after: Key | undefined;
}

const USUAL = 100;
/** What entries of one page may weigh together: about a mebibyte of names, numbers and short sentences. */
const WEIGHT = 10_000;
const MOST_TOKEN = 2_048;

function sizeProblems({ pageSize }: Pick<PageRequest, 'pageSize'>): FieldProblem[] {
  return problemIf(pageSize > ADMIN_LIMITS.page, 'page_size', `expected at most ${ADMIN_LIMITS.page}`);
}

/** Of whichever listing. Throws RequestError. */
export function requireSize(request: PageRequest): void {
  const problems = sizeProblems(request);
  if (problems.length > 0) throw new RequestError(problems);
}

/** Throws RequestError. */
export function readPage({ pageSize, pageToken }: PageRequest, listing: Listing): Page {
  const problems = sizeProblems({ pageSize });
  const after = pageToken === '' ? undefined : keyOf(pageToken, listing);
  if (pageToken !== '' && after === undefined) {
    problems.push(problem('page_token', 'expected the next_page_token of another page of the same listing'));
  }
  if (problems.length > 0) throw new RequestError(problems);
  return { listing, size: pageSize || USUAL, after };
}

export interface Telling<Entry, Told> {
  readonly key: (entry: Entry) => Key;
  readonly tell: (entry: Entry) => Told;
  /** How much there is in it; an entry is 1 when it is left out. */
  readonly weigh?: (told: Told) => number;
}

/** The entries of the page, told; at least one, however much it weighs. */
export function pageOf<Entry, Told>(
  entries: Iterable<Entry>,
  { listing, size, after }: Page,
  { key, tell, weigh = () => 1 }: Telling<Entry, Told>,
): { readonly page: Told[]; readonly nextPageToken: string } {
  const rest = Array.from(entries, (entry) => ({ entry, key: key(entry) }))
    .filter((one) => after === undefined || compare(one.key, after) > 0)
    .sort((one, other) => compare(one.key, other.key));
  const page: Told[] = [];
  let weight = 0;
  for (const { entry } of rest) {
    if (page.length === size) break;
    const told = tell(entry);
    weight += weigh(told);
    if (page.length > 0 && weight > WEIGHT) break;
    page.push(told);
  }
  const last = rest[page.length - 1];
  const nextPageToken = last === undefined || page.length === rest.length ? '' : tokenOf(listing, last.key);
  return { page, nextPageToken };
}

export function tokenOf({ of }: Listing, key: Key): string {
  return Buffer.from(JSON.stringify([...of, ...key])).toString('base64url');
}

/** Undefined for a token of another listing, or of none. */
export function keyOf(token: string, { of, form }: Listing): Key | undefined {
  if (token.length > MOST_TOKEN) return undefined;
  try {
    const read: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(read) || read.length !== of.length + form.length) return undefined;
    const key = read.slice(of.length) as unknown[];
    const fits = of.every((word, at) => read[at] === word) && form.every((sample, at) => fitsForm(key[at], sample));
    return fits ? (key as Key) : undefined;
  } catch {
    return undefined;
  }
}

function fitsForm(value: unknown, sample: string | number): boolean {
  return typeof sample === 'string' ? typeof value === 'string' : Number.isSafeInteger(value);
}

function compare(one: Key, other: Key): number {
  for (let at = 0; at < one.length; at += 1) {
    const [value, against] = [one[at] ?? 0, other[at] ?? 0];
    if (value !== against) return value < against ? -1 : 1;
  }
  return 0;
}
