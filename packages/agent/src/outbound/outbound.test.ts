import { describe, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { cleanups, echo, oneRecord, PORT, SERVICES, serving } from './calls.fixture.ts';
import { Rig, rule, until } from './rig.fixture.ts';

describe('the gateway’s way in', () => {
  it('reaches a web service’s public port and nothing else', async () => {
    const web = await serving(echo);
    const rig = await Rig.start({
      services: SERVICES,
      agents: [
        { host: 'g', roles: ['gateway' as const] },
        { host: 'a', runs: { web: { '13000/tcp': web.port } } },
        { host: 'plain' },
      ],
    });
    cleanups.push(() => rig.stop());
    const deadline = new Deadline(9_000);
    const opened = await rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', deadline);
    if (!opened.opened) throw new Error('not opened');
    const heard = await new Promise<string>((resolve) => {
      opened.conduit.attach({ data: (piece) => resolve(piece.toString()), end() {}, drain() {}, closed() {} });
      opened.conduit.write(Buffer.from('GET /'), true);
    });
    expect(heard).toBe('GET /');
    expect(web.callers).toEqual([rig.hostAddress('a', 'g')]);
    opened.conduit.reset();
    const record = await oneRecord(rig);
    expect(record).toMatchObject({ source: 'internet', sourceHost: 'g', rule: 'builtin:ingress', outcome: 'reset' });
    expect(record?.detail).toContain('203.0.113.9');
    const refused = await rig.agent('g').outbound.openIngress('redis', PORT, '203.0.113.9', deadline);
    expect(refused).toMatchObject({ opened: false, outcome: 'denied' });
    const forged = await rig.agent('plain').outbound.openIngress('web', 13_000, '203.0.113.9', deadline);
    expect(forged).toMatchObject({ opened: false, outcome: 'denied' });
  });

  it.each(['attached', 'not attached yet'])('is cut like any other flow, %s', async (when) => {
    const web = await serving(echo);
    const agents = [
      { host: 'g', roles: ['gateway' as const] },
      { host: 'a', runs: { web: { '13000/tcp': web.port } } },
    ];
    const rig = await Rig.start({ services: SERVICES, agents });
    cleanups.push(() => rig.stop());
    const deadline = new Deadline(9_000);
    const opened = await rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', deadline);
    if (!opened.opened) throw new Error('not opened');
    const { conduit } = opened;
    const attach = () =>
      new Promise<string>((resolve) =>
        conduit.attach({ data() {}, end() {}, drain() {}, closed: (how) => resolve(how) }),
      );
    const early = when === 'attached' ? attach() : undefined;
    rig.change({ rules: [rule('closed', 'deny', '*', 'web')] });
    expect(await (early ?? attach())).toBe('reset');
    expect(await oneRecord(rig)).toMatchObject({ source: 'internet', outcome: 'cut', rule: 'closed', revision: 2 });
  });

  it.each(['g', 'a'])('says of a service on %s that did not answer what only its source knows', async (host) => {
    const web = await serving(() => {});
    const agents = [
      { host: 'g', roles: ['gateway' as const], runs: host === 'g' ? { web: { '13000/tcp': web.port } } : {} },
      { host: 'a', runs: host === 'a' ? { web: { '13000/tcp': web.port } } : {} },
    ];
    const rig = await Rig.start({ services: SERVICES, agents });
    cleanups.push(() => rig.stop());
    const opened = await rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', new Deadline(9_000));
    if (!opened.opened) throw new Error('not opened');
    opened.conduit.attach({ data() {}, end() {}, drain() {}, closed() {} });
    opened.unanswered();
    opened.conduit.reset();
    await until(() => rig.live === 0);
    expect(rig.records().map(({ outcome }) => outcome)).toEqual(
      host === 'g' ? ['unanswered'] : ['unanswered', 'reset'],
    );
  });

  it.each([
    ['g', ['gateway' as const], 2 * 8],
    // One that may let nobody in asks all the same, until it has heard so.
    ['g', [], 8],
  ])('of %s, of roles %j, fills no records with what is refused of it', async (host, roles, own) => {
    const rig = await Rig.start({ services: SERVICES, agents: [{ host, roles }] });
    cleanups.push(() => rig.stop());
    const { outbound } = rig.agent(host);
    for (let port = 1; port <= 60; port++) {
      const client = `2001:db8:${port % 2}::${port}`;
      expect((await outbound.openIngress('redis', port, client, new Deadline(9_000))).opened).toBe(false);
    }
    await until(() => rig.records().length > own);
    const counts = rig.records().map(({ detail }) => Number(/stands for (\d+) like it/.exec(detail)?.[1] ?? 1));
    expect([counts.filter((count) => count === 1).length, counts.reduce((sum, count) => sum + count, 0)]).toEqual([
      own,
      60,
    ]);
  });

  it('ends with its opener', async () => {
    const rig = await Rig.start({
      services: SERVICES,
      agents: [
        { host: 'g', roles: ['gateway' as const] },
        { host: 'a', runs: { web: { '13000/tcp': 1 } } },
      ],
    });
    cleanups.push(() => rig.stop());
    rig.unreachable.add('a');
    const given = new Deadline(9_000);
    const opening = rig.agent('g').outbound.openIngress('web', 13_000, '203.0.113.9', given);
    given.end(new Error('gone'));
    expect(await opening).toMatchObject({ opened: false, outcome: 'reset' });
    expect(await oneRecord(rig)).toMatchObject({ source: 'internet', outcome: 'reset' });
  });
});
