/** Asks control. Paths are relative, since a proxy may serve the page below a path of its own. */
import type { Failure, Session, StartView } from '../../../src/dashboard/api.ts';
import { type Asked, type CallName, failureOf, pathOf, type Told } from './calls.ts';

/** Control refused. `code` is control's own word for why. */
export class RefusedError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(status: number, failure: Failure) {
    super(failure.message);
    this.name = 'RefusedError';
    this.code = failure.code;
    this.status = status;
  }
}

/** Control did not answer, or what answered is not control. */
export class AwayError extends Error {
  readonly code = 'away';

  constructor(cause?: unknown) {
    super('Control does not answer. Is it running, and can this browser reach it?', { cause });
    this.name = 'AwayError';
  }
}

const SESSION = 'api/session';

type Query = Readonly<Record<string, string | undefined>>;

export class Api {
  readonly #signedOut: () => void;

  /** `signedOut` is called when control says that the session is over. */
  constructor(signedOut: () => void) {
    this.#signedOut = signedOut;
  }

  session = (signal?: AbortSignal): Promise<Session> => this.#ask('GET', SESSION, undefined, signal);
  signIn = (token: string): Promise<Session> => this.#ask('POST', SESSION, { token });
  signOut = (): Promise<void> => this.#ask('DELETE', SESSION);
  start = (signal?: AbortSignal): Promise<StartView> => this.#ask('GET', 'api/start', undefined, signal);

  /** A call of control's API, in JSON. */
  call = <Name extends CallName>(name: Name, request: Asked<Name>, signal?: AbortSignal): Promise<Told<Name>> =>
    this.#ask('POST', pathOf(name), request, signal);

  /** Why control sends no live updates, which an EventSource keeps to itself. Empty when nothing is known. */
  async refusalOfLive(network: string): Promise<string> {
    const abort = new AbortController();
    try {
      const response = await fetch(`api/live${queryString({ network })}`, { signal: abort.signal });
      const answer: unknown = response.ok ? undefined : await response.json();
      return failureOf(answer)?.message ?? '';
    } catch {
      return '';
    } finally {
      // A stream that is granted after all is not to stay open.
      abort.abort();
    }
  }

  async #ask<Answer>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer> {
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers: {
          // Proves to control that this page asks: no other site can make a browser send it.
          'x-weft-dashboard': '1',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new AwayError(error);
    }
    const answer: unknown = response.status === 204 ? undefined : await response.json().catch(() => undefined);
    if (response.ok) return answer as Answer;
    const failure = failureOf(answer);
    if (failure === undefined) throw new AwayError(`status ${response.status}`);
    if (response.status === 401 && path !== SESSION) this.#signedOut();
    throw new RefusedError(response.status, failure);
  }
}

/** What is undefined or empty is left out. */
export function queryString(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}
