/** What stands before every route: is this the host that is meant, who asks, may they, and did they mean to. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Actor } from '../audit/types.ts';
import type { Role } from './api.ts';
import { DashboardError } from './errors.ts';
import type { Session, Sessions } from './sessions.ts';

/** `open` to who is not signed in yet. */
export type Access = 'open' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Each route under /api must say. */
    readonly access?: Access;
  }
  interface FastifyRequest {
    session: Session | undefined;
  }
}

export const SESSION_COOKIE = 'weft_session';

/** No other site can make a browser send it: a header of one's own needs a permission that is never given here. */
const INTENT_HEADER = 'x-weft-dashboard';

/** For all routes of this instance. */
export function guard(app: FastifyInstance, sessions: Sessions): void {
  app.decorateRequest('session', undefined);
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.access === undefined) throw new Error(`the route ${url} does not say who may use it`);
  });
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') requireIntent(request);
    request.session = sessions.find(request.cookies[SESSION_COOKIE]);
    const access = request.routeOptions.config.access ?? 'admin';
    if (access === 'open') return;
    const { role } = requireSession(request);
    if (access === 'admin' && role !== 'admin') {
      throw new DashboardError(
        'not-admin',
        'this needs the admin token; you are signed in with the token that only sees',
      );
    }
  });
}

export function requireSession({ session }: FastifyRequest): Session {
  if (session !== undefined) return session;
  throw new DashboardError('signed-out', 'you are not signed in, or were for too long; sign in');
}

export function actorOf(request: FastifyRequest): Actor {
  return { role: requireSession(request).role, address: addressOf(request) };
}

/** Of who asks; an IPv4 address as such, also where IPv6 is listened on. */
export function addressOf({ ip }: FastifyRequest): string {
  return ip.replace(/^::ffff:(?=\d+\.)/, '');
}

/** A change must come from the page itself and not from another site that a browser has open too. */
function requireIntent({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  const own =
    headers[INTENT_HEADER] === '1' &&
    (site === undefined || site === 'same-origin' || site === 'none') &&
    (origin === undefined || hostOf(origin) === host?.toLowerCase());
  if (own) return;
  throw new DashboardError(
    'cross-site',
    `a change is taken only from the dashboard itself: with the header ${INTENT_HEADER}: 1, and from its own origin`,
  );
}

/** `https://weft.example:8443` names weft.example:8443, as the Host header does. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** Strict: not even a link from another site arrives signed in. Secure where this very port speaks TLS. */
export function setSessionCookie(request: FastifyRequest, reply: FastifyReply, secret: string): void {
  reply.setCookie(SESSION_COOKIE, secret, cookieOptions(request));
}

export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(SESSION_COOKIE, cookieOptions(request));
}

function cookieOptions({ socket }: FastifyRequest) {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: 'encrypted' in socket } as const;
}
