/** Status over HTTP. Counts for everyone who can reach the port; names and addresses only for who shows the admin token. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { HostPort } from '@weft/proto';
import type { Logger } from 'pino';
import type { FlowWindow } from '../flows/window.ts';
import { listen } from '../rpc/listen.ts';
import { agentStatuses, networkStatus, serviceStatuses } from '../rpc/listings.ts';
import type { LiveAgents } from '../rpc/live.ts';
import { isLoopback } from '../rpc/token-addresses.ts';
import type { StateStore } from '../state/types.ts';

export interface DashboardOptions {
  readonly state: StateStore;
  readonly live: LiveAgents;
  readonly flows: FlowWindow;
  /** Compares in constant time. */
  readonly checkToken: (token: string) => boolean;
  readonly version: string;
  readonly startedMs: number;
  readonly now: () => number;
  readonly logger: Logger;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What every answer says to a browser: show it as it is, run nothing, keep nothing, let no other site have it. */
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #server: Server;
  #host = '';

  constructor(options: DashboardOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8_192 },
      (request, response) => {
        send(response, request.method === 'HEAD', this.#reply(request));
      },
    );
    this.#server.maxConnections = 256;
  }

  async listen(address: HostPort): Promise<HostPort> {
    this.#host = address.host;
    return await listen(this.#server, address, '--dashboard', this.#options.logger);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #reply(request: IncomingMessage): Reply {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { status: 405, body: { error: 'only GET and HEAD are served here' }, headers: { allow: 'GET, HEAD' } };
    }
    if (!this.#knowsHost(request.headers.host)) {
      return { status: 421, body: { error: 'the Host header names another host than this port is for' } };
    }
    const [path = '/'] = (request.url ?? '/').split('?');
    if (path === '/healthz') return { status: 200, body: { status: 'ok' } };
    if (path === '/' || path === '/status') return { status: 200, body: this.#summary() };
    const network = /^\/status\/([a-z0-9-]{1,63})$/.exec(path)?.[1];
    if (network === undefined) return { status: 404, body: { error: 'there is no such page' } };
    return this.#authorized(request) ? this.#detail(network) : unauthorized();
  }

  /**
   * A page of another site can have its own name point at 127.0.0.1 and then read this port as its own (DNS rebinding).
   * On loopback only loopback's names are right; on another address the name that people use is not known, but an
   * attacker who can reach it needs no such trick.
   */
  #knowsHost(header: string | undefined): boolean {
    if (!isLoopback(this.#host)) return true;
    const name =
      header
        ?.replace(/:\d{1,5}$/, '')
        .replace(/^\[(.*)\]$/, '$1')
        .toLowerCase() ?? '';
    return isLoopback(name) && (name === 'localhost' || isIP(name) > 0);
  }

  #authorized({ headers }: IncomingMessage): boolean {
    const token = /^bearer ([\x21-\x7e]{1,512})$/i.exec(headers.authorization ?? '')?.[1];
    return token !== undefined && this.#options.checkToken(token);
  }

  #summary(): unknown {
    const { state, live, flows, version, startedMs, now } = this.#options;
    return {
      version,
      uptimeSeconds: Math.floor((now() - startedMs) / 1_000),
      networks: [...state.current.networks.values()].map((network) => {
        const { revision, services, agents, connected } = networkStatus(network, live, flows.dropped(network.name));
        return { name: network.name, revision, services, agents, connected };
      }),
    };
  }

  #detail(name: string): Reply {
    const { state, live, flows } = this.#options;
    const network = state.current.networks.get(name);
    if (network === undefined) return { status: 404, body: { error: `there is no network ${name}` } };
    return {
      status: 200,
      body: {
        ...networkStatus(network, live, flows.dropped(name)),
        serviceList: serviceStatuses(network, live),
        agentList: agentStatuses(network, live),
      },
    };
  }
}

function unauthorized(): Reply {
  return {
    status: 401,
    body: { error: 'this page needs the header "authorization: Bearer TOKEN", with the text of admin.token' },
    headers: { 'www-authenticate': 'Bearer realm="weft-control"' },
  };
}

function send(response: ServerResponse, headOnly: boolean, { status, body, headers }: Reply): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { ...HEADERS, ...headers, 'content-length': Buffer.byteLength(text) });
  response.end(headOnly ? undefined : text);
}
