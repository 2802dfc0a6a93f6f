/** A dashboard on a free port, for tests: real state in memory, and everything else as the test says. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { defined, type HostPort } from '@weft/proto';
import { pino } from 'pino';
import { openRefusalAudit } from '../audit/refusals.ts';
import type { AuditEntry, AuditLog } from '../audit/types.ts';
import type { LiveAgent } from '../fleet/live.ts';
import type { WatchedFlow } from '../flows/types.ts';
import { emptyState, mesh, service, tcp } from '../netmap/network.fixture.ts';
import type { StateStore } from '../state/types.ts';
import { StoreError } from '../store/errors.ts';
import type { TrafficStatus } from '../traffic/types.ts';
import type { Role } from './api.ts';
import { Dashboard } from './dashboard.ts';
import type { Session } from './sessions.ts';
import { startCommands } from './start-commands.ts';

export const TOKENS: Readonly<Record<Role, string>> = { admin: 'weftadmin1.the-secret', read: 'weftread1.the-secret' };

export class TestDashboard implements AsyncDisposable {
  readonly state: StateStore;
  readonly agents = new Map<string, Partial<LiveAgent>>();
  readonly audited: AuditEntry[] = [];
  pairs: readonly TrafficStatus[] = [];
  /** Everything that was logged, as text. */
  log = '';
  clock = 1_700_000_000_000;
  /** What goes on when the clock is set back. */
  monotonic = 0;
  /** Nothing can be written down. */
  diskFull: boolean = false;
  address = '';
  /** What serves the API, which a test of its own has. */
  readonly calls = {
    /** The session of each call. */
    served: [] as (Session | undefined)[],
    serve: (_request: IncomingMessage, response: ServerResponse, session: Session | undefined) => {
      this.calls.served.push(session);
      response.end('served');
    },
    close: async () => undefined,
  };
  readonly flows = new Flows();
  readonly #dashboard: Dashboard;

  private constructor(state: StateStore, page: string | undefined, pin: number, silentMs: number | undefined) {
    this.state = state;
    const log = new Writable({
      write: (chunk, _encoding, done) => {
        this.log += String(chunk);
        done();
      },
    });
    const logger = pino({ level: 'debug' }, log);
    const now = (): number => this.clock;
    const audit: AuditLog = {
      record: async (entry) => {
        if (this.diskFull) throw new StoreError('write-failed', 'the disk is full');
        this.audited.unshift({ ...entry, sequence: this.audited.length + 1, atMs: this.clock });
      },
      list: async ({ before = Number.MAX_SAFE_INTEGER, limit }) =>
        this.audited.filter(({ sequence }) => sequence < before).slice(0, limit),
    };
    const listening: HostPort = { host: '127.0.0.1', port: 7400 };
    this.#dashboard = new Dashboard({
      state,
      live: {
        agent: (id) => liveAgent(this.agents.get(id)),
        instance: (id) => (this.agents.has(id) ? { healthy: true, notListening: [] } : undefined),
      },
      flows: this.flows,
      disk: { problems: [] },
      traffic: { list: () => this.pairs, omitted: () => 0 },
      audit,
      refusals: openRefusalAudit({ audit, now, logger }),
      roleOf: (token) => (['admin', 'read'] as const).find((role) => TOKENS[role] === token),
      calls: this.calls,
      start: () =>
        startCommands({
          listening,
          adminTokenPath: '/data/admin.token',
          state: state.current,
          binaries: undefined,
        }),
      pin: new Uint8Array(32).fill(pin),
      version: '1.2.3',
      now,
      monotonic: () => this.monotonic,
      logger,
      ...defined({ page, silentMs }),
    });
  }

  static async start({
    page,
    empty = false,
    pin = 7,
    silentMs,
  }: {
    page?: string;
    empty?: boolean;
    pin?: number;
    silentMs?: number;
  } = {}): Promise<TestDashboard> {
    const made = new TestDashboard(await emptyState(), page, pin, silentMs);
    if (!empty) await made.apply('web', 'redis');
    const { host, port } = await made.#dashboard.listen({ host: '127.0.0.1', port: 0 });
    made.address = `${host}:${port}`;
    return made;
  }

  /** The network prod has these private services and no others. */
  async apply(...names: readonly string[]): Promise<void> {
    const services = names.map((name, index) => service(name, 'private', tcp(6_000 + index)));
    await this.state.apply(mesh({ services }), { dryRun: false, actor: 'admin 127.0.0.1' });
  }

  /** As the page does it: with the header, and JSON if there is a body. */
  async ask(path: string, options: Asked = {}): Promise<Response> {
    const { method = 'GET', body, cookie, headers = {} } = options;
    return await fetch(`http://${this.address}${path}`, {
      method,
      headers: {
        ...(method === 'GET' ? {} : { 'x-weft-dashboard': '1' }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...defined({ cookie }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...defined({ signal: options.signal }),
    });
  }

  /** The cookie of a new session. */
  async signIn(role: Role): Promise<string> {
    const response = await this.ask('/api/session', { method: 'POST', body: { token: TOKENS[role] } });
    const [pair] = (response.headers.get('set-cookie') ?? '').split(';');
    if (response.status !== 200 || pair === undefined) throw new Error(`sign-in failed: ${response.status}`);
    return pair;
  }

  async close(): Promise<void> {
    await this.#dashboard.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'PUT';
  readonly body?: unknown;
  readonly cookie?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Records that a test puts in. */
class Flows {
  #wake: (() => void) | undefined;
  readonly #coming: WatchedFlow[] = [];
  following = 0;

  add(...flows: readonly WatchedFlow[]): void {
    this.#coming.push(...flows);
    this.#wake?.();
  }

  dropped(): number {
    return 0;
  }

  async *follow(_network: string, _filter: object, signal: AbortSignal): AsyncGenerator<WatchedFlow> {
    this.following += 1;
    try {
      while (!signal.aborted) {
        const next = this.#coming.shift();
        if (next !== undefined) yield next;
        else await this.#more(signal);
      }
    } finally {
      this.following -= 1;
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

export function flow(id: string, cursor: number): WatchedFlow {
  return {
    cursor,
    missed: 0,
    record: {
      id,
      startedMs: 1,
      durationMs: 1,
      source: 'web',
      sourceHost: 'a',
      service: 'redis',
      instance: 'redis.0',
      destinationHost: 'b',
      port: 6379,
      protocol: 'tcp',
      verdict: 'allow',
      rule: 'default',
      revision: 1,
      outcome: 'closed',
      bytesSent: 1,
      bytesReceived: 2,
      zone: '',
      user: '',
      unit: '',
      program: '',
      detail: '',
    },
  };
}

function liveAgent(known: Partial<LiveAgent> | undefined): LiveAgent | undefined {
  if (known === undefined) return undefined;
  return {
    connected: true,
    lastSeenMs: 5,
    enforcedRevision: 1,
    kept: true,
    enforcedSinceMs: 0,
    version: '1.2.3',
    capability: 2,
    report: undefined,
    observedHost: '',
    behindSinceMs: 0,
    clockSkewMs: undefined,
    telemetry: undefined,
    peerRates: new Map(),
    ...known,
  };
}
