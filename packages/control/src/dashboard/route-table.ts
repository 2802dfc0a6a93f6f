/** Which methods a path is served with: so that a wrong method is told from a wrong path. */
import type { FastifyInstance } from 'fastify';
import { byText } from '../order.ts';

export class RouteTable {
  readonly #routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = [];

  /** Of what is served from here on. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      // The page's files are whatever was built; only the page itself is a path that is known to be.
      const known = url.endsWith('*') ? url.slice(0, -1) : url;
      const path = new RegExp(`^${known.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
      this.#routes.push({ path, methods: [method].flat() });
    });
  }

  methods(path: string): readonly string[] {
    return [...new Set(this.#routes.flatMap((route) => (route.path.test(path) ? route.methods : [])))].sort(byText);
  }
}
