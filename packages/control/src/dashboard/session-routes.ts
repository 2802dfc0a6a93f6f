/** Signing in and out. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { AuditLog } from '../audit/types.ts';
import { FailureCounter } from '../failures.ts';
import { byText } from '../order.ts';
import type { StateStore } from '../state/types.ts';
import type { Role, Session as SessionView } from './api.ts';
import { DashboardError } from './errors.ts';
import { addressOf, clearSessionCookie, requireSession, setSessionCookie } from './guard.ts';
import { closed, text } from './schemas.ts';
import type { Session, Sessions } from './sessions.ts';

export interface SessionRouteOptions {
  readonly sessions: Sessions;
  readonly state: StateStore;
  /** Takes as long for a wrong token as for a right one. */
  readonly roleOf: (token: string) => Role | undefined;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly version: string;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Wrong tokens from one address. */
const FAILURES = { failures: 10, windowMs: 60_000, remembered: 1_024 };
/** Refused sign-ins that are written down, from all addresses: they must not push everything else out of the audit. */
const WRITTEN_DOWN = { failures: 60, windowMs: 60_000, remembered: 1 };

export function sessionRoutes(app: FastifyInstance, options: SessionRouteOptions): void {
  const { sessions, state, roleOf, audit, version, now, logger } = options;
  const failures = new FailureCounter(FAILURES, now);
  const writtenDown = new FailureCounter(WRITTEN_DOWN, now);

  const view = (session: Session): SessionView => ({
    role: session.role,
    expiresMs: sessions.expiresMs(session),
    version,
    networks: [...state.current.networks.keys()].sort(byText),
  });

  const note = (action: string, actor: string, detail = ''): void =>
    audit.record({ actor, action, network: '', subject: 'dashboard', revision: 0, detail });

  const refuse = (address: string): DashboardError => {
    // The right token is let through however often its address failed before: who shares the address, such as everyone
    // behind one proxy, must not be able to lock the operator out. 256 bits cannot be guessed anyway.
    if (failures.note(address)) {
      return new DashboardError(
        'too-many-tries',
        'too many wrong tokens from your address; wait a minute, then try again',
      );
    }
    logger.warn({ event: 'sign-in-refused', address }, 'sign-in to the dashboard refused');
    if (!writtenDown.note('all')) note('sign-in-refused', `nobody ${address}`, 'wrong token');
    return new DashboardError(
      'token-wrong',
      "the token is not this control's; use the text of admin.token or read.token in its data directory",
    );
  };

  app.post<{ Body: { readonly token: string } }>(
    '/session',
    {
      config: { access: 'open' },
      schema: { body: closed({ token: text(1, 512, 'the text of admin.token or read.token') }, ['token']) },
    },
    async (request, reply) => {
      const role = roleOf(request.body.token.trim());
      if (role === undefined) throw refuse(addressOf(request));
      // A session that was there before is over: what it was used for is not mixed with what the new one is.
      if (request.session !== undefined) sessions.end(request.session);
      const { secret, session } = sessions.open(role);
      note('sign-in', actorName({ role, address: addressOf(request) }));
      logger.info({ event: 'signed-in', role, address: addressOf(request) }, 'signed in to the dashboard');
      setSessionCookie(request, reply, secret);
      return view(session);
    },
  );

  app.get('/session', { config: { access: 'read' } }, async (request) => view(requireSession(request)));

  app.delete('/session', { config: { access: 'open' } }, async (request, reply) => {
    const { session } = request;
    if (session !== undefined) {
      sessions.end(session);
      note('sign-out', actorName({ role: session.role, address: addressOf(request) }));
      logger.info(
        { event: 'signed-out', role: session.role, address: addressOf(request) },
        'signed out of the dashboard',
      );
    }
    clearSessionCookie(request, reply);
    return reply.code(204).send();
  });
}
