/** What stands before every route: is this the host that is meant, who asks, may they, and did they mean to. */
import { plainAddress } from '@weft/proto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Actor } from '../audit/types.ts';
import { DashboardError } from './errors.ts';
import type { SessionCookie } from './session-cookie.ts';
import type { Session, Sessions } from './sessions.ts';

/** `open` to who is not signed in yet, and `read` to all who are: what takes more is a call of the API. */
export type Access = 'open' | 'read';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Each route under /api must say. */
    readonly access?: Access;
  }
  interface FastifyRequest {
    session: Session | undefined;
  }
}

/** No other site can make a browser send it: a header of one's own needs a permission that is never given here. */
const INTENT_HEADER = 'x-weft-dashboard';

export interface GuardOptions {
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;
}

/** For all routes of this instance. */
export function guard(app: FastifyInstance, { sessions, cookie }: GuardOptions): void {
  app.decorateRequest('session', undefined);
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.access === undefined) throw new Error(`the route ${url} does not say who may use it`);
  });
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') requireIntent(request);
    request.session = sessions.find(cookie.read(request));
    // Who is not signed in is no line of the audit: every page that is opened asks so first.
    if (request.routeOptions.config.access !== 'open') requireSession(request);
  });
}

export function requireSession({ session }: Pick<FastifyRequest, 'session'>): Session {
  if (session !== undefined) return session;
  throw new DashboardError('signed-out', 'you are not signed in, or were for too long; sign in');
}

export function actorOf(request: FastifyRequest): Actor {
  return { role: requireSession(request).role, address: addressOf(request) };
}

/** Of who asks; an IPv4 address as such, also where IPv6 is listened on. */
export function addressOf({ ip }: FastifyRequest): string {
  return plainAddress(ip);
}

/** A change must come from the page itself and not from another site that a browser has open too. */
function requireIntent(request: FastifyRequest): void {
  if (hasIntent(request) && isOwnSite(request)) return;
  throw new DashboardError(
    'cross-site',
    `a change is taken only from the dashboard itself: with the header ${INTENT_HEADER}: 1, and from its own origin`,
  );
}

export function hasIntent({ headers }: FastifyRequest): boolean {
  return headers[INTENT_HEADER] === '1';
}

/** True also of what is no browser. */
export function isOwnSite({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  return (
    (site === undefined || site === 'same-origin' || site === 'none') &&
    (origin === undefined || hostOf(origin) === host?.toLowerCase())
  );
}

/** `https://weft.example:8443` names weft.example:8443, as the Host header does. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
