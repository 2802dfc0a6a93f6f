/** Who may reach what, why, and how that came to be. */
import { formatPortRange, parseDestination } from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import type { Explain } from '../admin/explain.ts';
import { everyReach, type ReachOf } from '../admin/reach.ts';
import type { StateStore } from '../state/types.ts';
import type { ExplainView, ReachView, StartView } from './api.ts';
import { networkRoutes } from './network-routes.ts';
import { caller, closed, destination, serviceName } from './schemas.ts';

export interface PolicyRouteOptions {
  readonly state: StateStore;
  readonly explain: Explain;
  readonly reach: ReachOf;
  readonly start: () => StartView;
}

export function policyRoutes(app: FastifyInstance, { state, explain, reach, start }: PolicyRouteOptions): void {
  const get = networkRoutes(app, state);

  get<ReachView, { readonly service: string }>(
    '/reach',
    { parameters: { service: serviceName }, required: ['service'] },
    async (network, { service }, signal) => {
      const callers = await everyReach(reach(network, service, signal));
      return {
        revision: network.revision,
        callers: callers.map((caller) => ({ ...caller, ports: caller.ports.map(formatPortRange) })),
      };
    },
  );

  get<ExplainView, { readonly from: string; readonly to: string }>(
    '/explain',
    { parameters: { from: caller, to: destination }, required: ['from', 'to'] },
    async (network, { from, to }, signal) =>
      // People paste what their programs are given.
      await explain(network, { from, ...parseDestination(to.replace(/\.internal\.?(?=:)/, '')) }, signal),
  );

  const anyone = { config: { access: 'read' }, schema: { querystring: closed({}) } } as const;
  app.get('/start', anyone, async (): Promise<StartView> => start());
}
