import { Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect';
import { AdminService, watchNetwork } from '@weft/proto/client';
import { expect, it } from 'vitest';

type Told = {
  snapshot?: boolean;
  services?: { service: { name: string } }[];
  removedServices?: string[];
  resumeToken?: string;
};

/** A control that answers each watch with the next of these: messages, and how it ends. */
function control(...watches: readonly (readonly (Told | Code)[])[]) {
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(AdminService, {
      async *watchNetwork({ resumeToken }) {
        const told = watches[asked.push(resumeToken) - 1] ?? [Code.NotFound];
        for (const one of told) {
          if (typeof one === 'number') throw new ConnectError('ended', one);
          yield one;
        }
      },
    });
  });
  return { admin: createClient(AdminService, transport), asked };
}

const named = (...names: readonly string[]) => names.map((name) => ({ service: { name } }));

async function views(admin: ReturnType<typeof control>['admin']) {
  const seen: string[] = [];
  const over = (async () => {
    for await (const { services } of watchNetwork(admin, 'prod')) seen.push([...services.keys()].join(' '));
  })();
  return { error: await over.catch((error: unknown) => error), seen };
}

it('tells a batch when it is whole, and what was removed is gone', async () => {
  const { admin } = control([
    { snapshot: true, services: named('web') },
    { services: named('redis'), resumeToken: '1' },
    { removedServices: ['web'], resumeToken: '2' },
  ]);
  expect((await views(admin)).seen).toEqual(['web redis', 'redis']);
});

it('goes on from where it was, whichever way a watch ended, and ends where another try says the same', async () => {
  const { admin, asked } = control(
    [{ snapshot: true, services: named('web'), resumeToken: '1' }, Code.Unavailable],
    [],
    [{ services: named('redis'), resumeToken: '2' }, Code.Canceled],
  );
  const { error, seen } = await views(admin);
  expect([seen, asked]).toEqual([
    ['web', 'web redis'],
    ['', '1', '1', '2'],
  ]);
  expect(error).toMatchObject({ code: Code.NotFound });
});

it('asks for all again when it was cut off within a snapshot', async () => {
  const { admin, asked } = control(
    [{ snapshot: true, services: named('web', 'redis'), resumeToken: '1' }, Code.Unavailable],
    [{ snapshot: true, services: named('web') }, Code.Unavailable],
    [{ snapshot: true, services: named('redis'), resumeToken: '3' }],
  );
  expect([(await views(admin)).seen, asked]).toEqual([
    ['web redis', 'redis'],
    ['', '1', '', '3'],
  ]);
});

it('ends by the signal, while it waits as well', async () => {
  const end = new AbortController();
  const { admin } = control([{ snapshot: true, resumeToken: '1' }, Code.Unavailable], [Code.Unavailable]);
  const watch = watchNetwork(admin, 'prod', end.signal);
  await watch.next();
  const next = watch.next();
  end.abort(new Error('enough'));
  await expect(next).rejects.toThrow();
});
