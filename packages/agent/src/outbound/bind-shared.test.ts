import { expect, it } from 'vitest';
import { bindFirst } from './bind-shared.ts';
import type { ListenerSpec } from './listener-spec.ts';

const spec: ListenerSpec = { service: 'redis', ordinal: undefined, address: '127.99.0.1', port: 6379, protocol: 'tcp' };

function followers(released: Promise<void> = Promise.resolve()) {
  const told: string[] = [];
  const followed = {
    released: () => released,
    opened: () => void told.push('opened'),
    closed: () => void told.push('closed'),
  };
  return { told, followed };
}

it('binds when all threads have let go of the port, and tells them once it is bound', async () => {
  const released = Promise.withResolvers<void>();
  const { told, followed } = followers(released.promise);
  const binding = bindFirst(
    spec,
    () => {
      told.push('bound');
      return Promise.resolve({ close: () => void told.push('let go') });
    },
    followed,
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual([]);
  released.resolve();
  const bound = await binding;
  bound.close();
  expect(told).toEqual(['bound', 'opened', 'let go', 'closed']);
});

it('tells nobody of a spec that could not be bound', async () => {
  const { told, followed } = followers();
  const bind = () => Promise.reject(new Error('taken'));
  await expect(bindFirst(spec, bind, followed)).rejects.toThrow('taken');
  expect(told).toEqual([]);
});
