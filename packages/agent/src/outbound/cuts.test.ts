import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { call, echo, ending, exchange, oneRecord, SERVICES, serving, setup } from './calls.fixture.ts';
import { rule, service, until } from './rig.fixture.ts';

/** Until what was cut at its source alone has been let go of. */
const lingered = () => sleep(400);

describe('a change', () => {
  it('cuts the live flows that lost their permission, and no others', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const loser = call(rig, 'a');
    const keeper = call(rig, 'g');
    await exchange(loser, 'ping');
    await exchange(keeper, 'ping');
    const ended = ending(loser);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    expect(await ended).toBe('ECONNRESET');
    expect(rig.records()).toMatchObject([
      { outcome: 'cut', source: 'web', verdict: 'deny', rule: 'no-web', revision: 2, bytesSent: 4 },
    ]);
    expect(await exchange(keeper, 'still')).toBe('still');
    keeper.end();
    await until(() => rig.live === 0);
    expect(rig.records()).toHaveLength(2);
  });

  it('cuts the live flows of a host that may be who is denied', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'b');
    await exchange(socket, 'ping');
    const ended = ending(socket);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] });
    expect(await ended).toBe('ECONNRESET');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'cut', source: 'host:b', verdict: 'deny', rule: 'no-web' });
  });

  it('that reaches the source first is still told by the destination, as a cut', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const loser = call(rig, 'a');
    await exchange(loser, 'ping');
    const ended = ending(loser);
    const rules = { rules: [rule('no-web', 'deny', 'web', 'redis')] };
    rig.change(rules, 'a');
    expect(await ended).toBe('ECONNRESET');
    rig.change(rules, 'r0');
    expect(await oneRecord(rig)).toMatchObject({ outcome: 'cut', rule: 'no-web' });
    await lingered();
    expect(rig.records()).toHaveLength(1);
  });

  it('that the destination hears of too late is told by the source too', async () => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const loser = call(rig, 'a');
    await exchange(loser, 'ping');
    const ended = ending(loser);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] }, 'a');
    expect(await ended).toBe('ECONNRESET');
    await until(() => rig.records().length === 2);
    const [there] = rig.agent('r0').recorder.recent();
    expect(there).toMatchObject({ outcome: 'reset', verdict: 'allow' });
    expect(rig.agent('a').recorder.recent()).toMatchObject([
      {
        id: there?.id,
        outcome: 'cut',
        verdict: 'deny',
        rule: 'no-web',
        revision: 2,
        bytesSent: 4,
        instance: 'redis/0',
      },
    ]);
  });

  it.each([
    ['the caller’s membership ends', { revoked: ['a'] }, { rule: 'builtin:source', source: 'web' }, 'r0'],
    ['the destination’s membership ends', { revoked: ['r0'] }, { rule: 'default', source: 'web' }, 'a'],
    [
      'the service is gone',
      { services: SERVICES.filter(({ name }) => name !== 'redis') },
      { rule: 'builtin:no-such-service' },
      'r0',
    ],
    [
      'the port is gone',
      { services: [service('redis', 'private', 1), ...SERVICES.slice(1)] },
      { rule: 'builtin:undeclared-port' },
      'r0',
    ],
    [
      'the service becomes a worker',
      { services: [service('redis', 'worker'), ...SERVICES.slice(1)] },
      { rule: 'builtin:worker' },
      'r0',
    ],
  ])('cuts when %s', async (_, change, expected, teller) => {
    const redis = await serving(echo);
    const rig = await setup({ redis: [redis.port] });
    const socket = call(rig, 'a');
    await exchange(socket, 'ping');
    const ended = ending(socket);
    rig.change(change);
    expect(await ended).toBe('ECONNRESET');
    await until(() => rig.live === 0);
    expect(rig.agent(teller).recorder.recent()).toMatchObject([{ outcome: 'cut', ...expected }]);
  });
});
