/** What only the admin token opens: tokens, the end of memberships, and the audit. */
import { AGENT_ROLE_WORDS } from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import { type CreateTokenOptions, createToken } from '../admin/create-token.ts';
import { requireNetwork } from '../admin/request.ts';
import { revokeAgent, revokeToken } from '../admin/revoke.ts';
import type { AuditLog } from '../audit/types.ts';
import type { TokenState } from '../state/types.ts';
import type { AuditView, CreatedToken, Revoked, TokenOrder, TokenView } from './api.ts';
import { actorOf } from './guard.ts';
import { networkRoutes } from './network-routes.ts';
import { closed, digits, flag, integer, list, networkName, oneOf, text } from './schemas.ts';

export interface AdminRouteOptions extends CreateTokenOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly audit: Pick<AuditLog, 'list'>;
}

const AUDIT_PAGE = 200;

const tokenOrder = {
  network: networkName,
  services: list(text(0, 128, 'the name of a service'), 1_000, 'a list of services'),
  host: text(0, 128, 'the name of a host, or an empty text'),
  roles: list(oneOf(AGENT_ROLE_WORDS), AGENT_ROLE_WORDS.length, 'a list of roles'),
  reusable: flag,
  ephemeral: flag,
  ttlSeconds: integer(0xffffffff, 'a number of seconds'),
};

export function adminRoutes(app: FastifyInstance, options: AdminRouteOptions): void {
  const { state, audit } = options;
  const config = { access: 'admin' } as const;

  networkRoutes(app, state, 'admin')<readonly TokenView[]>('/tokens', {}, ({ name }) =>
    state.tokens(name).map(tokenView),
  );

  app.post<{ Body: TokenOrder }>(
    '/tokens',
    // Not compressed: how long an answer is compressed tells something of the secret in it.
    { config, schema: { body: closed(tokenOrder, Object.keys(tokenOrder)) }, compress: false },
    async (request): Promise<CreatedToken> => {
      const by = { actor: actorOf(request), authority: hostName(request.headers.host) };
      const { text, token } = await createToken(options, { ...request.body, addresses: [] }, by);
      return { token: text, id: token.id, expiresMs: token.expiresMs };
    },
  );

  app.delete<{ Params: { readonly id: string } }>(
    '/tokens/:id',
    { config },
    (request): Promise<Revoked> => revokeToken(options, request.params.id, actorOf(request)),
  );

  app.delete<{ Params: { readonly id: string }; Querystring: { readonly withToken?: string } }>(
    '/agents/:id',
    { config, schema: { querystring: closed({ withToken: oneOf(['true', 'false']) }) } },
    async (request): Promise<Revoked> => {
      const { params, query } = request;
      const order = { network: '', agent: params.id, withToken: query.withToken === 'true' };
      const { hosts, revision } = await revokeAgent(options, order, actorOf(request));
      return { revision, hosts };
    },
  );

  app.get<{ Querystring: { readonly network?: string; readonly before?: string } }>(
    '/audit',
    {
      config,
      schema: { querystring: closed({ network: networkName, before: digits(15, 'the number of an entry') }) },
    },
    async ({ query: { network = '', before } }): Promise<readonly AuditView[]> =>
      audit.list({
        network: network === '' ? '' : requireNetwork(state.current, network).name,
        limit: AUDIT_PAGE,
        ...(before === undefined ? {} : { before: Number(before) }),
      }),
  );
}

function tokenView(token: TokenState): TokenView {
  const { id, services, host, roles, reusable, ephemeral, createdMs, expiresMs, uses, revoked } = token;
  return { id, services, host, roles, reusable, ephemeral, createdMs, expiresMs, uses, revoked };
}

/** The way that the page reached this host may be one that agents have, too; the dashboard's port is none for them. */
function hostName(host: string | undefined): string {
  return host?.replace(/:\d{1,5}$/, '') ?? '';
}
