import { itemKey } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import type { Remembered } from '../fleet/memory.ts';
import { current, emptyState, joinHost } from '../netmap/network.fixture.ts';
import { TestControl } from './control.fixture.ts';
import { type FakeAgent, reportOf } from './fake-agent.fixture.ts';
import { denying, healthOf, prod } from './hub.fixture.ts';

describe('a break', () => {
  test('is resumed with the difference alone', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const joined = await control.join({ host: 'one', services: ['web'] });
    const agent = control.connect(joined);
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
    agent.stream?.cancel();
    await agent.until((held) => held.status !== undefined);
    await control.state.apply(denying('meanwhile'), { dryRun: false, actor: 'control' });
    agent.connect();
    const { revision } = current(control.state);
    await agent.until((held) => held.revision === revision);
    expect(agent.deltas[0]).toMatchObject({ snapshot: false, removals: [] });
    expect(agent.deltas[0]?.upserts.map(itemKey)).toEqual(['policy']);
  });

  test('of control too: nothing flaps, and what it remembered is not taken back', async () => {
    const state = await emptyState();
    let remembered: ReadonlyMap<string, Remembered> = new Map();
    const memory = { load: () => remembered, save: (agents: ReadonlyMap<string, Remembered>) => (remembered = agents) };
    await state.apply(prod, { dryRun: false, actor: 'control' });
    const [one, two] = [
      await joinHost(state, 'prod', { host: 'one', services: ['web'] }),
      await joinHost(state, 'prod', { host: 'two', services: ['redis'] }),
    ];
    let items: FakeAgent['items'];
    {
      await using control = await TestControl.start({ state, memory });
      const agent = control.connect(one);
      control.connect(two, { report: reportOf(['redis'], { endpoints: ['two.example:7410'] }) });
      await agent.until((held) => healthOf(held, 'instance/redis/0') === true);
      ({ items } = agent);
    }
    await using control = await TestControl.start({ state, memory });
    const back = control.connect(one);
    back.items = new Map(items);
    back.index = 40;
    await back.until(({ deltas }) => deltas.length > 0);
    expect(back.deltas[0]).toMatchObject({ snapshot: false, previous: 40, index: 41, upserts: [], removals: [] });
    expect(back.items.get(`peer/${two.agent.id}`)).toMatchObject({ endpoints: ['two.example:7410'] });
  });

  test('in the agent’s count is answered with a snapshot', async () => {
    await using control = await TestControl.start();
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const agent = control.connect(await control.join({ host: 'one', services: ['web'] }));
    await agent.until((held) => healthOf(held, 'instance/web/0') === true);
    agent.index += 7;
    agent.items.delete('service/redis');
    await control.state.apply(denying('x'), { dryRun: false, actor: 'control' });
    await agent.until(({ items }) => items.has('service/redis'));
    expect(agent.deltas.at(-1)).toMatchObject({ snapshot: true, previous: 0 });
  });

  test('that lasts makes instances unhealthy, and their return makes them well', async () => {
    await using control = await TestControl.start({ timing: { graceMs: 20 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const watching = control.connect(await control.join({ host: 'one', services: ['web'] }));
    const joined = await control.join({ host: 'two', services: ['redis'] });
    const gone = control.connect(joined);
    await watching.until((held) => healthOf(held, 'instance/redis/0') === true);
    gone.close();
    await watching.until((held) => healthOf(held, 'instance/redis/0') === false);
    expect(watching.items.get(`peer/${gone.id}`)).toMatchObject({ endpoints: ['127.0.0.1:7410'] });
    control.connect(joined);
    await watching.until((held) => healthOf(held, 'instance/redis/0') === true);
  });

  test('of an ephemeral agent ends its membership', async () => {
    await using control = await TestControl.start({ timing: { ephemeralMs: 20 } });
    await control.state.apply(prod, { dryRun: false, actor: 'control' });
    const watching = control.connect(await control.join({ host: 'one', services: ['web'] }));
    await watching.until(({ items }) => items.has('self'));
    // It never connects at all, which is as long a break as any.
    const { agent } = await control.join({ host: 'two', services: ['web'], ephemeral: true });
    const { revision } = current(control.state);
    await watching.until((held) => held.revision > revision);
    expect(control.state.endedAgent(agent.id)).toMatchObject({ host: 'two' });
  });
});
