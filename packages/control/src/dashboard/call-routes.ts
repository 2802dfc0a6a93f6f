/** The API as programs have it, on the page's port: a program comes with its bearer, and the page with its session. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DashboardError } from './errors.ts';
import { hasIntent, isOwnSite, requireSession } from './guard.ts';
import type { SessionCookie } from './session-cookie.ts';
import type { Session, Sessions } from './sessions.ts';

export interface CallRouteOptions {
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;
  readonly calls: {
    serve(request: IncomingMessage, response: ServerResponse, session: Session | undefined): void;
  };
}

const LOOK_MS = 1_000;

export function callRoutes(app: FastifyInstance, { sessions, cookie, calls }: CallRouteOptions): void {
  // Who may send a body, and how much of one, is decided where the call is served.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.post('/weft.v1.AdminService/:method', async (request, reply) => {
    if (!isOwnSite(request)) {
      throw new DashboardError(
        'cross-site',
        'calls are taken from programs and from the dashboard itself, not from another site',
      );
    }
    // A browser sends the cookie along with whatever makes it ask; the header, no other site can make it send.
    const ofPage = hasIntent(request);
    const session = ofPage ? sessions.find(cookie.read(request)) : undefined;
    // Its session is over, which is no try with a wrong token.
    if (ofPage && request.headers.authorization === undefined) requireSession({ session });
    if (session !== undefined) keepLooking(sessions, session, reply.raw);
    hand(calls, request, reply, session);
  });
}

/** Whether the path is one of a call, of any service; what is wrong with that is told as of every call. */
export function isOfCall(url: string): boolean {
  return /^\/[a-z][\w.]*\.[A-Z]\w*\/\w+(?:\?|$)/.test(url);
}

/** Hands it on, to be answered elsewhere. */
export function hand(
  calls: CallRouteOptions['calls'],
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session | undefined,
): void {
  reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value);
  }
  calls.serve(request.raw, reply.raw, session);
}

/** A session ends when it is looked at, and a stream may be all that is left of one; that it is open is use. */
function keepLooking(sessions: Sessions, session: Session, response: ServerResponse): void {
  const looking = setInterval(() => sessions.use(session), LOOK_MS).unref();
  response.once('close', () => clearInterval(looking));
}
