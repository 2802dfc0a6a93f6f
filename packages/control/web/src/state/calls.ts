/**
 * The API as the page calls it: Connect's protocol is a POST of proto3 JSON, which a browser needs no library for. What is left out
 * there is zero, empty or not set; enums are told by name, times in RFC 3339, lengths of time in seconds, 64 bits as text.
 */
import type { ActionJson, AdminService, CallerJson, MessageJsonType } from '@weft/proto/messages';
import { type Action, tellProblems } from '@weft/proto/model';
import type { Failure } from '../../../src/dashboard/api.ts';

type Calls = (typeof AdminService)['method'];
export type CallName = keyof Calls;
export type Asked<Name extends CallName> = MessageJsonType<Calls[Name]['input']>;
export type Told<Name extends CallName> = MessageJsonType<Calls[Name]['output']>;

/** Relative, as a proxy may serve the page below a path of its own. */
export function pathOf(name: CallName): string {
  return `weft.v1.AdminService/${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

interface Detail {
  readonly debug?: {
    /** Of a BadRequest. */
    readonly fieldViolations?: readonly { readonly field: string; readonly description: string }[];
    /** Of an ErrorInfo. */
    readonly metadata?: Readonly<Record<string, string>>;
  };
}

/** What is refused, in the API's form or in that of the routes beside it; undefined for what is neither. */
export function failureOf(answer: unknown): Failure | undefined {
  if (typeof answer !== 'object' || answer === null || !('code' in answer && 'message' in answer)) return undefined;
  const { code, message, details = [] } = answer as Failure & { readonly details?: readonly Detail[] };
  const fields = details.flatMap(({ debug }) => debug?.fieldViolations ?? []);
  if (fields.length === 0) return { code, message };
  const [count = fields.length] = details.flatMap(({ debug }) => debug?.metadata?.fields ?? []).map(Number);
  const problems = fields.map(({ field, description }) => ({ field, message: description }));
  return { code, message: tellProblems(problems, count) };
}

/** All pages, one after the other. */
export async function everyPage<Page extends { readonly nextPageToken?: string }, Item>(
  ask: (pageToken: string) => Promise<Page>,
  items: (page: Page) => readonly Item[] | undefined,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let pageToken = '';
  do {
    const page = await ask(pageToken);
    all.push(...(items(page) ?? []));
    pageToken = page.nextPageToken ?? '';
  } while (pageToken !== '');
  return all;
}

type Dashed<Text extends string> = Text extends `${infer Head}_${infer Tail}` ? `${Head}-${Dashed<Tail>}` : Text;
type Word<Type extends string, Name extends string> = Name extends `${Type}_UNSPECIFIED`
  ? never
  : Name extends `${Type}_${infer Rest}`
    ? Lowercase<Dashed<Rest>>
    : never;

/** `ACTOR_KIND_ADMIN` of the type ACTOR_KIND is the word `admin`; what is not set is the preset. */
export function word<Type extends string, Name extends string>(
  type: Type,
  name: Name | undefined,
  preset: Word<Type, Name>,
): Word<Type, Name> {
  if (name === undefined) return preset;
  return name
    .slice(type.length + 1)
    .toLowerCase()
    .replaceAll('_', '-') as Word<Type, Name>;
}

/** Milliseconds since the Unix epoch; 0 for what is not set. */
export function timeMs(time: string | undefined): number {
  return time === undefined ? 0 : Date.parse(time);
}

/** `web`, `host:NAME` or `internet`. */
export function callerOf(source: string): CallerJson {
  if (source === 'internet') return { internet: {} };
  return source.startsWith(HOST) ? { host: source.slice(HOST.length) } : { service: source };
}

export function sourceOf({ internet, host, service = '' }: CallerJson = {}): string {
  if (internet !== undefined) return 'internet';
  return host === undefined ? service : `${HOST}${host}`;
}

export function verdictOf(action: ActionJson | undefined): Action {
  return word('ACTION', action, 'deny');
}

const HOST = 'host:';
