/** The endpoint that Prometheus reads: /metrics, /healthz and /readyz over HTTP, off unless asked for, and nothing else. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { boundConnections } from '../bounds/bound-connections.ts';
import { knowsHost } from '../model/address.ts';
import type { HostPort } from '../model/endpoint.ts';
import { fileLimit, reservedFiles } from '../node/file-limit.ts';
import { listen } from './listen.ts';

export interface MetricsServerOptions {
  readonly address: HostPort;
  /** The option that names the address, for errors. */
  readonly flag: string;
  /** The text that is served. Called once for all who ask while it is made. */
  readonly collect: () => Promise<string>;
  /** Why the program does not serve now, if it does not: /readyz says so. */
  readonly unready: () => string | undefined;
  readonly logger: Pick<Logger, 'warn'>;
  /** Who has not taken the answer in this time is closed, milliseconds. */
  readonly answerMs?: number;
}

export interface MetricsServer {
  /** With the port that was given where 0 was asked for. */
  readonly address: HostPort;
  close(): Promise<void>;
}

/** A few scrapers keep theirs open; fewer where there are few files for them. */
const MOST_CONNECTIONS = Math.min(64, Math.ceil(reservedFiles(fileLimit()) / 4));

/** As long as Prometheus may wait: an answer that nobody reads would hold its memory, and a connection, for good. */
const ANSWER_MS = 30_000;

/** Texts that answers hold which are not taken yet. */
const MOST_TEXTS = 8;

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;
const TEXT = 'text/plain; charset=utf-8';

/** Rejects with ListenError. */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { address, flag, collect, unready, logger, answerMs = ANSWER_MS } = options;
  const shared = new SharedText(collect);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(request, response, 405, 'only GET and HEAD are served here\n', TEXT, { allow: 'GET, HEAD' });
      return;
    }
    if (!knowsHost(address.host, request.headers.host, request.socket.localAddress)) {
      send(request, response, 421, 'the Host header names another host than this port is for\n', TEXT);
      return;
    }
    const [path = '/'] = (request.url ?? '/').split('?');
    if (path === '/healthz') send(request, response, 200, 'ok\n', TEXT);
    else if (path === '/readyz') {
      const why = unready();
      send(request, response, why === undefined ? 200 : 503, `${why ?? 'ok'}\n`, TEXT);
    } else if (path === '/metrics')
      send(request, response, 200, await shared.textFor(response), Registry.PROMETHEUS_CONTENT_TYPE);
    else send(request, response, 404, 'there are /metrics, /healthz and /readyz\n', TEXT);
  };
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 75_000, maxHeaderSize: 8_192 },
    (request, response) => {
      const late = setTimeout(() => request.socket.destroy(), answerMs);
      response.once('close', () => clearTimeout(late));
      answer(request, response).catch((error: unknown) => {
        logger.warn({ event: 'metrics-failed', err: error }, 'metrics could not be collected');
        send(request, response, 500, 'metrics could not be collected; the log says why\n', TEXT);
      });
    },
  );
  boundConnections(server, { most: MOST_CONNECTIONS, mostOfOne: Math.ceil(MOST_CONNECTIONS / 2) });
  const bound = await listen(server, address, flag, logger);
  return {
    address: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * What collects works on one answer at a time: several scrapers at once are given the same, and the same memory. With many
 * answers that nobody takes, further ones are the last again, as old as an answer may wait at most.
 */
class SharedText {
  readonly #collect: () => Promise<string>;
  #underWay: Promise<Buffer> | undefined;
  #last: Buffer | undefined;
  #untaken = 0;

  constructor(collect: () => Promise<string>) {
    this.#collect = collect;
  }

  /** To be called as soon as the response is there. */
  async textFor(response: ServerResponse): Promise<Buffer> {
    this.#untaken += 1;
    response.once('close', () => {
      this.#untaken -= 1;
      if (this.#untaken === 0) this.#last = undefined;
    });
    if (this.#untaken > MOST_TEXTS && this.#last !== undefined) return this.#last;
    this.#underWay ??= this.#run();
    return await this.#underWay;
  }

  async #run(): Promise<Buffer> {
    try {
      this.#last = Buffer.from(await this.#collect());
      return this.#last;
    } finally {
      this.#underWay = undefined;
    }
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string | Buffer,
  type: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...HEADERS,
    ...headers,
    'content-type': type,
    'content-length': Buffer.byteLength(text),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
