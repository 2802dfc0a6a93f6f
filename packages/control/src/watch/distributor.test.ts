import { pino } from 'pino';
import { expect, test } from 'vitest';
import { mesh, service, tcp } from '../netmap/network.fixture.ts';
import type { Presence } from '../netmap/presence.ts';
import { emptyNetwork } from '../state/meshes.ts';
import type { NetworkState, StateStore } from '../state/types.ts';
import { Registrar } from './distributor.ts';

test('a store that hangs holds one registration of each agent, and then takes the newest', async () => {
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  const state = {
    registerInstances: async (agentId: string, services: readonly string[]) => {
      asked.push(`${agentId} ${services.join()}`);
      await gate.promise;
    },
  } as Partial<StateStore> as StateStore;
  const registrar = new Registrar(state, pino({ level: 'silent' }));
  const declaring = (last: number): NetworkState => {
    const ports = Array.from({ length: last }, (_, at) => at + 1);
    const declared = mesh({
      network: 'prod',
      services: ports.map((port) => service(`s${port}`, 'private', tcp(port))),
    });
    const services = new Map(declared.services.map((each) => [each.name, { service: each, address: 1 }]));
    const agents = new Map(['ag_1', 'ag_2'].map((id) => [id, {} as never]));
    return { ...emptyNetwork(declared, last), services, agents };
  };
  const presence = (): Presence =>
    ({ instances: new Map(Array.from({ length: 50 }, (_, at) => [`s${at + 1}`, {}])) }) as unknown as Presence;
  const presences = new Map([
    ['ag_1', presence()],
    ['ag_2', presence()],
  ]);
  const first = registrar.register(declaring(1), presences);
  for (let last = 2; last <= 50; last++) {
    // Nobody waits for what is under way already: it marks the network when it is there.
    await registrar.register(declaring(last), presences.set('ag_1', presence()));
  }
  expect(asked).toEqual(['ag_1 s1', 'ag_2 s1']);
  gate.resolve();
  await first;
  expect(asked).toHaveLength(4);
  for (const line of asked.slice(2)) expect(line.endsWith(',s49,s50')).toBe(true);
});
