/** Asks control. Paths are relative, since a proxy may serve the page below a path of its own. */
import type {
  AuditView,
  CreatedToken,
  ExplainView,
  Failure,
  FlowHistory,
  FlowPage,
  FlowQuery,
  MeshView,
  ReachView,
  RevisionView,
  Revoked,
  Session,
  StartView,
  TokenOrder,
  TokenView,
} from '../../../src/dashboard/api.ts';

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

type Query = Readonly<Record<string, string | undefined>>;

export class Api {
  readonly #signedOut: () => void;

  /** `signedOut` is called when control says that the session is over. */
  constructor(signedOut: () => void) {
    this.#signedOut = signedOut;
  }

  session = (signal?: AbortSignal): Promise<Session> => this.#ask('GET', 'session', undefined, signal);
  signIn = (token: string): Promise<Session> => this.#ask('POST', 'session', { token });
  signOut = (): Promise<void> => this.#ask('DELETE', 'session');
  start = (signal?: AbortSignal): Promise<StartView> => this.#ask('GET', 'start', undefined, signal);

  flows = (network: string, query: FlowQuery, signal?: AbortSignal): Promise<FlowPage> =>
    this.#ask('GET', `flows${queryString({ network, ...query })}`, undefined, signal);

  history = (network: string, query: Query, signal?: AbortSignal): Promise<FlowHistory> =>
    this.#ask('GET', `flows/history${queryString({ network, ...query })}`, undefined, signal);

  reach = (network: string, service: string, signal?: AbortSignal): Promise<ReachView> =>
    this.#ask('GET', `reach${queryString({ network, service })}`, undefined, signal);

  explain = (network: string, from: string, to: string, signal?: AbortSignal): Promise<ExplainView> =>
    this.#ask('GET', `explain${queryString({ network, from, to })}`, undefined, signal);

  mesh = (network: string, revision: number | undefined, signal?: AbortSignal): Promise<MeshView> =>
    this.#ask('GET', `mesh${queryString({ network, revision: revision?.toString() })}`, undefined, signal);

  revisions = (network: string, signal?: AbortSignal): Promise<readonly RevisionView[]> =>
    this.#ask('GET', `revisions${queryString({ network })}`, undefined, signal);

  tokens = (network: string, signal?: AbortSignal): Promise<readonly TokenView[]> =>
    this.#ask('GET', `tokens${queryString({ network })}`, undefined, signal);

  createToken = (order: TokenOrder): Promise<CreatedToken> => this.#ask('POST', 'tokens', order);

  revokeToken = (id: string): Promise<Revoked> => this.#ask('DELETE', `tokens/${encodeURIComponent(id)}`);

  revokeAgent = (id: string, withToken: boolean): Promise<Revoked> =>
    this.#ask('DELETE', `agents/${encodeURIComponent(id)}${queryString({ withToken: String(withToken) })}`);

  /** Of all networks, and of what is about none, such as a sign-in. */
  audit = (before: number | undefined, signal?: AbortSignal): Promise<readonly AuditView[]> =>
    this.#ask('GET', `audit${queryString({ before: before?.toString() })}`, undefined, signal);

  /** Why control sends no live updates, which an EventSource keeps to itself. Empty when nothing is known. */
  async refusalOfLive(network: string): Promise<string> {
    const abort = new AbortController();
    try {
      const response = await fetch(`api/live${queryString({ network })}`, { signal: abort.signal });
      const answer: unknown = response.ok ? undefined : await response.json();
      return isFailure(answer) ? answer.message : '';
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
      response = await fetch(`api/${path}`, {
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
    if (!isFailure(answer)) throw new AwayError(`status ${response.status}`);
    const refused = new RefusedError(response.status, answer);
    if (response.status === 401 && !path.startsWith('session')) this.#signedOut();
    throw refused;
  }
}

function isFailure(answer: unknown): answer is Failure {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'message' in answer;
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
