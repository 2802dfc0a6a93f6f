/** The page's own files, as `npm run build` made them: each beside its compressed forms, so that serving is sending. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Beside this module's dist; from src, where unit tests run, the same place. */
export const BUILT_PAGE = join(import.meta.dirname, '..', '..', 'dist', 'web');

/** Files in assets/ have a hash of their content in their name: they never change. */
const FOREVER = 'public, max-age=31536000, immutable';

export function servePage(app: FastifyInstance, directory: string): void {
  if (!existsSync(join(directory, 'index.html'))) {
    app.get('/', (_request, reply) =>
      reply.code(503).type('text/plain; charset=utf-8').send('The dashboard was not built. Run: npm run build\n'),
    );
    return;
  }
  void app.register(fastifyStatic, {
    root: directory,
    preCompressed: true,
    cacheControl: false,
    dotfiles: 'deny',
    redirect: false,
    setHeaders: (reply, path) => {
      if (basename(dirname(path)) === 'assets') reply.header('cache-control', FOREVER);
    },
  });
}
