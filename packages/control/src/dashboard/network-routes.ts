/** Questions about one network: the one named, or the only one there is. */
import type { FastifyInstance } from 'fastify';
import { requireNetwork } from '../admin/request.ts';
import type { NetworkState, StateStore } from '../state/types.ts';
import { closed, networkName, type Schema } from './schemas.ts';

/** What is asked beside the network: a parameter that is `required` is there. */
interface Asked {
  readonly parameters?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** `signal` aborts when whoever asked has gone, so that nothing is looked for in vain. */
type Serve<Query, Answer> = (network: NetworkState, query: Query, signal: AbortSignal) => Answer | Promise<Answer>;

/** Makes routes of such questions, for who is signed in. */
export function networkRoutes(app: FastifyInstance, state: StateStore) {
  return <Answer, Query extends object = object>(
    path: string,
    { parameters = {}, required = [] }: Asked,
    serve: Serve<Query, Answer>,
  ): void => {
    app.get<{ Querystring: Query & { readonly network?: string } }>(
      path,
      {
        config: { access: 'read' },
        schema: { querystring: closed({ network: networkName, ...parameters }, required) },
      },
      async ({ query }, { raw }): Promise<Answer> => {
        const { network = '', ...asked } = query as Query & { readonly network?: string };
        const gone = new AbortController();
        raw.once('close', () => {
          if (!raw.writableFinished) gone.abort(new Error('whoever asked has gone'));
        });
        return await serve(requireNetwork(state.current, network), asked as Query, gone.signal);
      },
    );
  };
}
