/** Who may reach what, why, and how that came to be. */
import { formatPortRange, parseDestination } from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import type { Explain } from '../admin/explain.ts';
import { meshToYaml } from '../admin/mesh-yaml.ts';
import type { ReachOf } from '../admin/reach.ts';
import { requireNetwork } from '../admin/request.ts';
import type { StateStore } from '../state/types.ts';
import type { ExplainView, MeshView, ReachView, RevisionView, StartView } from './api.ts';
import { gone } from './gone.ts';
import { caller, closed, destination, digits, networkName, serviceName } from './schemas.ts';

export interface PolicyRouteOptions {
  readonly state: StateStore;
  readonly explain: Explain;
  readonly reach: ReachOf;
  readonly start: () => StartView;
}

type Network = { readonly network?: string };

/** As many as are kept. */
const REVISIONS = 200;

export function policyRoutes(app: FastifyInstance, options: PolicyRouteOptions): void {
  const { state, explain, reach, start } = options;
  const config = { access: 'read' } as const;

  app.get<{ Querystring: Network & { readonly service: string } }>(
    '/reach',
    { config, schema: { querystring: closed({ network: networkName, service: serviceName }, ['service']) } },
    async ({ query }, reply): Promise<ReachView> => {
      const network = requireNetwork(state.current, query.network ?? '');
      const callers = await reach(network, query.service, gone(reply));
      return {
        revision: network.revision,
        callers: callers.map((caller) => ({ ...caller, ports: caller.ports.map(formatPortRange) })),
      };
    },
  );

  app.get<{ Querystring: Network & { readonly from: string; readonly to: string } }>(
    '/explain',
    {
      config,
      schema: { querystring: closed({ network: networkName, from: caller, to: destination }, ['from', 'to']) },
    },
    async ({ query }, reply): Promise<ExplainView> => {
      const network = requireNetwork(state.current, query.network ?? '');
      // People paste what their programs are given.
      const to = parseDestination(query.to.replace(/\.internal\.?(?=:)/, ''));
      return await explain(network, { from: query.from, ...to }, gone(reply));
    },
  );

  app.get<{ Querystring: Network & { readonly revision?: string } }>(
    '/mesh',
    {
      config,
      schema: { querystring: closed({ network: networkName, revision: digits(15, 'the number of a revision') }) },
    },
    async ({ query }): Promise<MeshView> => {
      const network = requireNetwork(state.current, query.network ?? '');
      const { revision, mesh } =
        query.revision === undefined ? network : await state.meshAt(network.name, Number(query.revision));
      return { revision, yaml: meshToYaml(mesh) };
    },
  );

  app.get<{ Querystring: Network }>(
    '/revisions',
    { config, schema: { querystring: closed({ network: networkName }) } },
    async ({ query }): Promise<readonly RevisionView[]> =>
      state.revisions(requireNetwork(state.current, query.network ?? '').name, REVISIONS),
  );

  app.get('/start', { config, schema: { querystring: closed({}) } }, async (): Promise<StartView> => start());
}
