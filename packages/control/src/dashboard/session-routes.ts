/** Signing in and out, in the audit where it takes them. */
import { byText } from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { RefusalAudit } from '../audit/refusals.ts';
import type { Actor, AuditLog } from '../audit/types.ts';
import { FailureCounter } from '../bounds/failures.ts';
import type { StateStore } from '../state/types.ts';
import { StoreError } from '../store/errors.ts';
import type { Role, Session as SessionView } from './api.ts';
import { DashboardError } from './errors.ts';
import { addressOf, requireSession } from './guard.ts';
import { closed, text } from './schemas.ts';
import type { SessionCookie } from './session-cookie.ts';
import type { Session, Sessions } from './sessions.ts';

export interface SessionRouteOptions {
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;
  readonly state: StateStore;
  /** Takes as long for a wrong token as for a right one. */
  readonly roleOf: (token: string) => Role | undefined;
  readonly refusals: Pick<RefusalAudit, 'noteSignIn'>;
  readonly version: string;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Wrong tokens from one address. */
const FAILURES = { failures: 10, windowMs: 60_000, remembered: 1_024 };

export function sessionRoutes(app: FastifyInstance, options: SessionRouteOptions): void {
  const { sessions, cookie, state, roleOf, refusals, version, now, logger } = options;
  const failures = new FailureCounter(FAILURES, now);
  const note = signInAudit(options);

  const view = (session: Session): SessionView => ({
    role: session.role,
    expiresMs: Math.round(now() + sessions.remainingMs(session)),
    version,
    networks: [...state.current.networks.keys()].sort(byText),
  });

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
    refusals.noteSignIn(address);
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
      const address = addressOf(request);
      // Before there is a session, so that none is left behind when it fails.
      await note({ role, address }, 'sign-in');
      const { secret, session } = sessions.open(role);
      logger.info({ event: 'signed-in', role, address }, 'signed in to the dashboard');
      cookie.set(request, reply, secret);
      return view(session);
    },
  );

  app.get('/session', { config: { access: 'read' } }, async (request) => view(requireSession(request)));

  app.delete('/session', { config: { access: 'open' } }, async (request, reply) => {
    const { session } = request;
    if (session !== undefined) {
      const who = { role: session.role, address: addressOf(request) };
      sessions.end(session);
      await note(who, 'sign-out');
      logger.info({ event: 'signed-out', ...who }, 'signed out of the dashboard');
    }
    cookie.clear(request, reply);
    return reply.code(204).send();
  });
}

/** Lines of the log that tell of one that was not written down. */
const TOLD = { failures: 10, windowMs: 60_000, remembered: 1 };

function signInAudit({ audit, now, logger }: SessionRouteOptions) {
  const told = new FailureCounter(TOLD, now);
  return async (who: Actor, action: 'sign-in' | 'sign-out'): Promise<void> => {
    const actor = actorName(who);
    try {
      await audit.record({ actor, action, network: '', subject: 'dashboard', revision: 0, detail: '' });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // With a full disk the page is what shows what goes on: it must open then, and the log has who it was.
      if (told.note('all')) return;
      logger.error({ event: 'sign-in-not-recorded', action, actor, err: error }, 'a sign-in was not written down');
    }
  };
}
