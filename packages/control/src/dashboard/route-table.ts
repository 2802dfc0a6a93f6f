/** Which methods a path is served with: so that a wrong method is told from a wrong path. */
import { byText } from '@weft/proto';
import type { FastifyInstance } from 'fastify';

/** Of what is served from here on: the methods of a path. */
export function routeTable(app: FastifyInstance): (path: string) => readonly string[] {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    // The page's files are whatever was built; only the page itself is a path that is known to be.
    const known = url.endsWith('*') ? url.slice(0, -1) : url;
    const path = new RegExp(`^${known.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
    routes.push({ path, methods: [method].flat() });
  });
  return (path) => [...new Set(routes.flatMap((route) => (route.path.test(path) ? route.methods : [])))].sort(byText);
}
