/**
 * The dashboard's API over a made-up mesh, and the built page. For work on the page, and for browser tests of what a real
 * mesh would need hundreds of processes for.
 *
 *   node packages/control/web/dev/mock.ts [--port 7481] [--services 300] [--agents 50] [--flows 400] [--page DIR]
 *
 * The token is `admin`, or `read`. `--services 0` is a fresh control.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import type { FlowsEvent, LiveEvent, Role, Session } from '../../src/dashboard/api.ts';
import { answerCall } from './calls.ts';
import { MadeUpMesh, type MeshOptions } from './mesh.ts';
import { start } from './start.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'";
/** As control does: so many events of flows a second, each of so many; more are left out. */
const FLOW_EVENTS = 4;
const FLOWS_SENT = 50;

export interface MockOptions extends MeshOptions {
  /** Where the built page is. */
  readonly page: string;
}

export class MockDashboard {
  readonly mesh: MadeUpMesh;
  readonly #options: MockOptions;
  readonly #server: Server;
  readonly #streams: Set<ServerResponse> = new Set();
  #role: Role | undefined;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MockOptions) {
    this.#options = options;
    this.mesh = new MadeUpMesh(options);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        send(response, 500, { code: 'mock', message: String(error) });
      });
    });
  }

  /** Resolves to the page's address. */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    let turn = 0;
    this.#timer = setInterval(() => {
      if (turn % FLOW_EVENTS === 0) this.send(this.mesh.move());
      turn += 1;
      this.#endFlows();
    }, 1_000 / FLOW_EVENTS);
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Nothing moves by itself any more, as when control hangs; `send` still works. */
  freeze(): void {
    clearInterval(this.#timer);
  }

  /** Ends each stream, as when control restarts; the page takes it up again. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** As when the session ran out: also ends each stream. */
  endSession(): void {
    this.#role = undefined;
    this.cut();
  }

  send(event: LiveEvent): void {
    this.#emit('live', event);
  }

  sendFlows(event: FlowsEvent): void {
    this.#emit('flows', event);
  }

  async close(): Promise<void> {
    this.freeze();
    this.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #endFlows(): void {
    const flows = this.mesh.endFlows(Math.ceil(this.#options.flowsPerSecond / FLOW_EVENTS), 1_000 / FLOW_EVENTS);
    if (flows.length > 0) {
      this.sendFlows({ flows: flows.slice(-FLOWS_SENT), omitted: Math.max(0, flows.length - FLOWS_SENT) });
    }
  }

  #emit(name: string, event: LiveEvent | FlowsEvent): void {
    const text = `event: ${name}\nid: ${Date.now()}\ndata: ${JSON.stringify(event)}\n\n`;
    for (const stream of this.#streams) stream.write(text);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://mock');
    if (!/^\/(?:api|weft\.v1\.AdminService)\//.test(url.pathname)) return await this.#file(url.pathname, response);
    const method = request.method ?? 'GET';
    if (url.pathname === '/api/session' && method === 'POST') return await this.#signIn(request, response);
    const role = this.#role;
    if (role === undefined) {
      return send(response, 401, { code: 'signed-out', message: 'Sign in first.' });
    }
    if (url.pathname === '/api/session') {
      if (method === 'DELETE') this.#role = undefined;
      return method === 'DELETE' ? send(response, 204) : send(response, 200, this.#session(role));
    }
    if (url.pathname === '/api/live') return this.#stream(response);
    if (url.pathname === '/api/start') return send(response, 200, start());
    const [status, body] = answerCall(url.pathname, await bodyOf(request), this.mesh, role);
    send(response, status, body);
  }

  #session(role: Role): Session {
    const networks = this.#options.services === 0 ? [] : ['prod', 'staging'];
    return { role, expiresMs: Date.now() + 43_200_000, version: '0.1.0', networks };
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token } = (await bodyOf(request)) as { token?: string };
    if (token === 'admin' || token === 'read') {
      this.#tries = 0;
      this.#role = token;
      return send(response, 200, this.#session(token));
    }
    this.#tries += 1;
    if (this.#tries <= 5) {
      return send(response, 401, { code: 'token-wrong', message: 'That is not a token of this control.' });
    }
    send(response, 429, {
      code: 'too-many-tries',
      message: 'Too many wrong tokens from this address; try again in 60 s.',
    });
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: 1000\n\nevent: live\nid: 1\ndata: ${JSON.stringify(this.mesh.snapshot())}\n\n`);
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  async #file(path: string, response: ServerResponse): Promise<void> {
    const { page } = this.#options;
    const file = join(page, normalize(path === '/' ? '/index.html' : path));
    const content = file.startsWith(page) ? await readFile(file).catch(() => undefined) : undefined;
    if (content === undefined) return send(response, 404, { code: 'not-found', message: 'No such file.' });
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': CSP,
    });
    response.end(content);
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
}

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '7481' },
      services: { type: 'string', default: '300' },
      agents: { type: 'string', default: '50' },
      flows: { type: 'string', default: '400' },
      page: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist', 'web') },
    },
  });
  const mock = new MockDashboard({
    services: Number(values.services),
    agents: Number(values.agents),
    flowsPerSecond: Number(values.flows),
    page: values.page,
  });
  process.stdout.write(`${await mock.listen(Number(values.port))}\n`);
}
