/**
 * The dashboard's server: the page as it was built, and under /api what api.ts says. It speaks plain HTTP: beyond loopback, what
 * ends TLS stands in front of it, and gives the cookie its `Secure`.
 */

import { STATUS_CODES } from 'node:http';
import cookie from '@fastify/cookie';
import { type HostPort, isLoopback, knowsHost } from '@weft/proto';
import { boundConnections } from '@weft/proto/bounds';
import { listen } from '@weft/proto/observe';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { RefusalAudit } from '../audit/refusals.ts';
import type { StartView } from './api.ts';
import { type CallRouteOptions, callRoutes, hand, isOfCall } from './call-routes.ts';
import { CONNECTION_TIMES, CONNECTIONS } from './connections.ts';
import { DashboardError, INTERNAL, refusalOf } from './errors.ts';
import { type GuardOptions, guard } from './guard.ts';
import { ANSWER_HEADERS } from './headers.ts';
import { type LiveRouteOptions, liveRoutes } from './live-routes.ts';
import { BUILT_PAGE, servePage } from './page.ts';
import { routeTable } from './route-table.ts';
import { AJV_OPTIONS, closed, wrongRequest } from './schemas.ts';
import { SessionCookie } from './session-cookie.ts';
import { type SessionRouteOptions, sessionRoutes } from './session-routes.ts';
import { Sessions, steadyClock } from './sessions.ts';

type RouteOptions = SessionRouteOptions & LiveRouteOptions;

export interface DashboardOptions extends Omit<RouteOptions, 'sessions' | 'cookie' | 'steady'> {
  readonly refusals: Pick<RefusalAudit, 'noteSignIn'>;
  readonly calls: CallRouteOptions['calls'] & { close(graceMs: number): Promise<void> };
  readonly start: () => StartView;
  /** Of control's key. */
  readonly pin: Uint8Array;
  /** Folder of the built page. */
  readonly page?: string;
  /** Milliseconds of a clock that nobody sets; the process's own when left out. */
  readonly monotonic?: () => number;
  /** For how long whoever begins no request, or none that ends its head, is heard, milliseconds; 10 s when left out. */
  readonly silentMs?: number;
}

const MAX_BODY = 16_384;
/** As `silentMs`. */
const SILENT_MS = 10_000;
/** How long calls under way may take to finish. */
const CLOSE_GRACE_MS = 1_000;

export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #steady: () => number;
  readonly #sessions: Sessions;
  readonly #app: FastifyInstance;
  #host = '';

  constructor(options: DashboardOptions) {
    this.#options = options;
    this.#steady = steadyClock(options.now, options.monotonic);
    this.#sessions = new Sessions(this.#steady);
    this.#app = this.#build();
  }

  async listen(address: HostPort): Promise<HostPort> {
    const { logger } = this.#options;
    this.#host = address.host;
    if (!isLoopback(address.host)) {
      logger.warn(
        { event: 'dashboard-in-the-clear', host: address.host },
        'the dashboard is served without TLS beyond this host; put a proxy that ends TLS in front of it',
      );
    }
    await this.#app.ready();
    return await listen(this.#app.server, address, '--dashboard', logger);
  }

  async close(): Promise<void> {
    await this.#options.calls.close(CLOSE_GRACE_MS);
    this.#sessions.close();
    const { server } = this.#app;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    await this.#app.close();
  }

  #build(): FastifyInstance {
    const { silentMs = SILENT_MS } = this.#options;
    const app = Fastify({
      logger: false,
      bodyLimit: MAX_BODY,
      ...CONNECTION_TIMES,
      http: {
        headersTimeout: silentMs,
        connectionsCheckingInterval: silentMs / 2,
        maxHeaderSize: 8_192,
        requireHostHeader: false,
      },
      ajv: { customOptions: AJV_OPTIONS },
      schemaErrorFormatter: wrongRequest,
      frameworkErrors: (error, request, reply) => this.#refuse(error, request, reply.headers(ANSWER_HEADERS)),
      clientErrorHandler: ({ code }, socket) => {
        // Browsers open connections before they have anything to ask; what is answered there would be taken for the answer to what is asked just then.
        if (code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) {
          socket.destroy();
          return;
        }
        socket.end(BAD_REQUEST);
        // What has come is read away first, or a reset would overtake the answer; who leaves its half open keeps no place.
        setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
      },
    });
    boundConnections(app.server, CONNECTIONS);
    const methodsOf = routeTable(app);
    app.addHook('onRequest', async (request, reply) => {
      reply.headers(ANSWER_HEADERS);
      if (!knowsHost(this.#host, request.headers.host)) {
        throw new DashboardError('wrong-host', 'the Host header names another host than this port is for');
      }
    });
    app.setErrorHandler((error, request, reply) => this.#refuse(error, request, reply));
    app.setNotFoundHandler((request, reply) => {
      if (isOfCall(request.url)) hand(this.#options.calls, request, reply, undefined);
      else this.#refuse(notFound(methodsOf, request, reply), request, reply);
    });
    app.removeAllContentTypeParsers();
    acceptJson(app);
    app.get('/healthz', async () => ({ status: 'ok' }));
    servePage(app, this.#options.page ?? BUILT_PAGE);
    const options = {
      ...this.#options,
      sessions: this.#sessions,
      cookie: new SessionCookie(this.#options.pin),
      steady: this.#steady,
    };
    void app.register(cookie);
    void app.register((scope, _options, done) => {
      callRoutes(scope, options);
      done();
    });
    void app.register(
      (scope, _options, done) => {
        this.#api(scope, options);
        done();
      },
      { prefix: '/api' },
    );
    return app;
  }

  #api(api: FastifyInstance, options: RouteOptions & GuardOptions): void {
    guard(api, options);
    sessionRoutes(api, options);
    liveRoutes(api, options);
    const { start } = this.#options;
    api.get('/start', { config: { access: 'read' }, schema: { querystring: closed({}) } }, async () => start());
  }

  #refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const refusal = refusalOf(error);
    if (refusal === undefined && !request.raw.destroyed) {
      const { method, routeOptions } = request;
      this.#options.logger.error(
        { event: 'dashboard-failed', method, route: routeOptions.url, err: error },
        'a request of the dashboard failed',
      );
    }
    const { status, failure } = refusal ?? INTERNAL;
    void reply.code(status).type('application/json; charset=utf-8').send(failure);
  }
}

/** How long a connection stays whose request was refused for its form. */
const FAREWELL_MS = 1_000;
/** For what is no HTTP at all. */
const BAD_REQUEST = [
  `HTTP/1.1 400 ${STATUS_CODES[400]}`,
  ...Object.entries(ANSWER_HEADERS).map(([name, value]) => `${name}: ${value}`),
  'connection: close',
  'content-length: 0',
  '',
  '',
].join('\r\n');

/** JSON and nothing else; a body that is empty is none. */
function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, String(body), done);
  });
}

function notFound(
  methodsOf: ReturnType<typeof routeTable>,
  { url }: FastifyRequest,
  reply: FastifyReply,
): DashboardError {
  const [path = '/'] = url.split('?');
  const methods = methodsOf(path).join(', ');
  if (methods === '') return new DashboardError('no-such-page', 'there is no such page');
  reply.header('allow', methods);
  return new DashboardError('wrong-method', `only ${methods} is served here`);
}
