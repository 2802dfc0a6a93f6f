import { mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import type { FakeAgent } from './fake-agent.fixture.ts';

export const services = [
  service('web', 'web', tcp(3000)),
  service('redis', 'private', tcp(6379)),
  service('mailer', 'worker'),
];
export const prod = mesh({ services });
export const denying = (name: string) => mesh({ services, policies: [rule(name, 'deny', ['web'], ['redis'])] });
export const NEVER = new AbortController().signal;

export const healthOf = (agent: FakeAgent, key: string): boolean | undefined => {
  const item = agent.items.get(key);
  return item?.type === 'instance' ? item.healthy : undefined;
};

/** For what only control's side sees: looks again at each turn of the loop. */
export async function seen(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
