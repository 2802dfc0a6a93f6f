import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { liveRoutes } from './live-routes.ts';
import { AJV_OPTIONS, closed, text } from './schemas.ts';
import { sessionRoutes } from './session-routes.ts';

/** As the dashboard has it, with the check that it leaves out. */
const checking = () => Fastify({ ajv: { customOptions: { ...AJV_OPTIONS, validateSchema: true } } });

test('what requests may hold is well-formed JSON Schema', async () => {
  const app = checking();
  const options = { state: { subscribe: () => () => {} } } as unknown as Parameters<typeof sessionRoutes>[1] &
    Parameters<typeof liveRoutes>[1];
  sessionRoutes(app, options);
  liveRoutes(app, options);
  await app.ready();
  await app.close();

  const wrong = checking();
  wrong.get('/', { schema: { querystring: closed({ name: text(-1, 5, 'a name') }) } }, async () => '');
  await expect(wrong.ready()).rejects.toThrow('minLength');
});
