/** Programs of one host, told apart by who runs them. */
import type { HostPort } from '@weft/proto';
import { adminService, agentViewCodec } from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asUser, BIN, Caller, DAEMON, IS_ROOT, unitGroup } from '../../packages/agent/src/owner/programs.fixture.ts';
import type { Agent } from './agent.ts';
import { weft } from './command.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, echoUdp, type TcpProgram } from './programs.ts';

function meshOf(rules: readonly string[], defaultAction = 'allow'): string {
  return `services:
  web: { kind: web, ports: [3000] }
  mailer: { kind: worker }
  rabbit: { kind: private, ports: [5672, 8125/udp] }
default: ${defaultAction}
policies: [${rules.join(', ')}]
`;
}

/** One try of all of them takes up to 10 s where nothing is said. */
const PATIENT = { timeout: 60_000 };
const NO_WEB = '{ name: no-web, action: deny, from: [web], to: [rabbit] }';
const NO_MAILER = '{ name: no-mailer, action: deny, from: [mailer], to: [rabbit] }';
const WEB_MAY = '{ name: web-may, action: allow, from: [web], to: [rabbit] }';

describe.runIf(IS_ROOT)('two services on one host', () => {
  let mesh: Mesh;
  let program: TcpProgram;
  let mixed: Agent;
  let at: { readonly connect: HostPort; readonly talk: HostPort };
  const callers = { web: new Caller(asUser(DAEMON)), mailer: new Caller(asUser(BIN)), other: new Caller() };

  beforeAll(async () => {
    mesh = await Mesh.start(meshOf([]));
    program = await echo();
    const udp = await echoUdp();
    const { port } = program;
    await mesh.agent('data', { services: { rabbit: { 5672: port, '8125/udp': udp.port } } });
    const match = { web: { user: DAEMON.name }, mailer: { user: BIN.name } };
    mixed = await mesh.agent('mixed', { services: { web: { 3000: port }, mailer: {} }, match });
    const host = await mixed.vip('rabbit');
    at = { connect: { host, port: 5672 }, talk: { host, port: 8125 } };
  });
  afterAll(async () => {
    for (const caller of Object.values(callers)) await caller.end();
    await mesh.close();
    await program.stop();
  });

  let count = 0;
  async function said(
    how: 'connect' | 'talk',
    those: Readonly<Record<string, Caller>> = callers,
    to = at,
  ): Promise<Record<string, string>> {
    const name = `c${count++}`;
    const found: Record<string, string> = {};
    const asked = Object.entries(those).map(async ([who, caller]) => {
      await caller.call(how, name, to[how]);
      found[who] = await caller.ask(`say ${name}`);
    });
    await Promise.all(asked);
    return found;
  }

  test.each([
    ['a deny of the one', [NO_WEB], 'allow', { web: false, mailer: true, other: false }],
    ['a deny of the other', [NO_MAILER], 'allow', { web: true, mailer: false, other: false }],
    ['an allow of the one', [WEB_MAY], 'deny', { web: true, mailer: false, other: false }],
    ['no rule', [], 'allow', { web: true, mailer: true, other: true }],
  ] as const)(
    'are held apart by %s, in TCP and UDP',
    { timeout: 150_000 },
    async (_, rules, defaultAction, expected) => {
      await mesh.apply(meshOf(rules, defaultAction));
      const heard = (yes: string, no: string) =>
        Object.fromEntries(Object.entries(expected).map(([who, may]) => [who, may ? yes : no]));
      // On a host with much to do one may be looked up too late, and is denied.
      await expect.poll(() => said('connect'), PATIENT).toEqual(heard('hello', 'reset'));
      await expect.poll(() => said('talk'), PATIENT).toEqual(heard('hello', 'nothing'));
      const codes = (await mixed.status()).problems.map(({ code }) => code);
      for (const code of ['match-not-enforced', 'match-ambiguous', 'rules-inexact']) expect(codes).not.toContain(code);
    },
  );

  test.each([
    [
      'a deny',
      '{ name: r, action: deny, from: ["user:bin"], to: [rabbit] }',
      'allow',
      { web: true, mailer: false, other: true },
    ],
    [
      'an allow',
      '{ name: r, action: allow, from: ["user:daemon"], to: [rabbit] }',
      'deny',
      { web: true, mailer: false, other: false },
    ],
    [
      'an allow of root',
      '{ name: r, action: allow, from: ["user:root"], to: [rabbit] }',
      'deny',
      { web: false, mailer: false, other: true },
    ],
  ] as const)(
    'and whoever else calls are known by user, in TCP and UDP: %s',
    { timeout: 150_000 },
    async (_, one, defaultAction, expected) => {
      await mesh.apply(meshOf([one], defaultAction));
      const heard = (yes: string, no: string) =>
        Object.fromEntries(Object.entries(expected).map(([who, may]) => [who, may ? yes : no]));
      // On a host with much to do one may be looked up too late, and is denied.
      await expect.poll(() => said('connect'), PATIENT).toEqual(heard('hello', 'reset'));
      await expect.poll(() => said('talk'), PATIENT).toEqual(heard('hello', 'nothing'));
    },
  );

  test('and who has no name is denied what any user is', async () => {
    const unnamed = new Caller(asUser({ uid: 54_321 }));
    try {
      await mesh.apply(meshOf([], 'allow'));
      const says = async () => {
        await unnamed.call('connect', 'u', at.connect);
        return await unnamed.ask('say u');
      };
      await expect.poll(says, PATIENT).toBe('hello');
      await mesh.apply(meshOf(['{ name: r, action: deny, from: ["user:bin"], to: [rabbit] }'], 'allow'));
      // Who has a name is looked up in time by now: nobody is reset for being late alone.
      const named = async () => (await said('connect')).web;
      for (let time = 0; time < 3; time++) {
        await expect.poll(named, PATIENT).toBe('hello');
        expect(await says()).toBe('reset');
      }
    } finally {
      await unnamed.end();
    }
  });

  test('are told anew where the port that datagrams came from is another’s', async () => {
    await mesh.apply(meshOf([WEB_MAY], 'deny'));
    const [web, mailer] = [callers.web, callers.mailer];
    let name = '';
    const talk = async () => {
      name = `t${count++}`;
      const { port } = await web.call('talk', name, at.talk);
      return { port, said: await web.ask(`say ${name}`) };
    };
    let from = 0;
    await expect
      .poll(async () => {
        const { port, said } = await talk();
        from = port;
        return said;
      }, PATIENT)
      .toBe('hello');
    await web.ask(`close ${name}`);
    await mailer.ask(`talk taken ${at.talk.host} ${at.talk.port} ${from}`);
    // What it sends later than a moment after passes no more.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await mailer.ask('say taken')).toBe('nothing');
    expect(await mailer.ask('say taken')).toBe('nothing');
    // Who is denied once is not for ever: this port is the one program's again.
    const again = `t${count++}`;
    const { port } = await web.call('talk', again, at.talk);
    await mailer.ask(`take shared udp 127.0.0.99 ${port}`);
    expect(await web.ask(`say ${again}`)).toBe('nothing');
    await mailer.ask('close shared');
    await expect.poll(() => web.ask(`say ${again}`), PATIENT).toBe('hello');
  }, 150_000);

  test('and who takes the place of a service before any rule asks is not that service', async () => {
    await using made = new AsyncDisposableStack();
    const caller = (user: typeof DAEMON) => made.adopt(new Caller(asUser(user)), (each) => each.end());
    const [first, thief] = [caller(DAEMON), caller(BIN)];
    const port = Number(await first.ask('listen x'));
    await mesh.apply(meshOf([]));
    const agent = await mesh.agent('taken', { services: { web: { 3000: port }, mailer: {} } });
    const host = await agent.vip('rabbit');
    const to = { connect: { host, port: 5672 }, talk: { host, port: 8125 } };
    await first.ask('close x');
    await thief.ask(`take x tcp 127.0.0.1 ${port}`);
    const codes = async () => (await agent.status()).problems.map(({ code }) => code);
    await expect.poll(codes, PATIENT).toContain('place-taken');
    await mesh.apply(meshOf([WEB_MAY], 'deny'));
    // Other ports make it nobody else's.
    for (const ports of ['[3000]', '[3000, 3001]']) {
      await mesh.apply(meshOf([WEB_MAY], 'deny').replace('[3000]', ports));
      expect(await said('connect', { thief, first }, to)).toEqual({ thief: 'reset', first: 'reset' });
      expect(await codes()).toContain('place-taken');
    }
    await thief.ask('close x');
    await first.ask(`take x tcp 127.0.0.1 ${port}`);
    await expect.poll(() => said('connect', { thief, first }, to), PATIENT).toEqual({ thief: 'reset', first: 'hello' });
    await expect.poll(codes, PATIENT).not.toContain('place-taken');
  }, 150_000);

  test('are told of by the API as services that their host tells apart', async () => {
    const asked = { network: NETWORK, view: agentViewCodec.toWire('full') };
    const reportOf = async () => {
      const { agents } = await mesh.ask(adminService.listAgents, asked);
      return agents.find(({ host }) => host === 'mixed')?.report;
    };
    const told = { toldApart: ['web', 'mailer'], othersAsHost: true, sight: expect.stringMatching(/./) };
    await expect.poll(reportOf, PATIENT).toMatchObject(told);
  });

  test('are explained by process and by user, as they are when they call', async () => {
    await mesh.apply(meshOf([NO_WEB]));
    const explain = async (...from: readonly string[]) => {
      const { code, out } = await weft({}, 'explain', ...from, 'rabbit:5672', '--json', '--data', mixed.directory);
      const { verdict, rule, process } = JSON.parse(out);
      return { code, verdict, rule, user: process?.user, service: process?.service, steps: JSON.parse(out).steps };
    };
    const web = await explain('--pid', `${callers.web.pid}`);
    expect(web).toMatchObject({ code: 3, verdict: 'deny', rule: 'no-web', user: 'daemon', service: 'web' });
    expect(web.steps[1]).toBe('it is of web by match: user daemon');
    const mailer = await explain('--pid', `${callers.mailer.pid}`);
    expect(mailer).toMatchObject({ code: 0, verdict: 'allow', user: 'bin', service: 'mailer' });
    const other = await explain('--pid', `${callers.other.pid}`);
    expect(other).toMatchObject({ code: 3, rule: 'no-web', user: 'root', service: '' });
    expect(await explain('user:daemon')).toMatchObject({ code: 3, rule: 'no-web' });
    expect(await explain('user:bin')).toMatchObject({ code: 0, verdict: 'allow' });
  }, 150_000);

  test('are recorded as who they are where a verdict depended on it', async () => {
    await mesh.apply(meshOf([NO_WEB]));
    const before = (await mesh.records('rabbit')).length;
    await said('connect');
    const told = (await mesh.recorded('rabbit', before + 2)).slice(before);
    const words = told.map(({ source, user, program, rule }) => `${source} ${user} ${program !== ''} ${rule}`);
    expect(new Set(words)).toEqual(new Set(['host:mixed root true no-web', 'web daemon true no-web']));
  });

  test('are told of while their calls are open', async () => {
    await mesh.apply(meshOf([NO_WEB]));
    await expect
      .poll(async () => {
        await callers.mailer.call('connect', 'stays', at.connect);
        return await callers.mailer.ask('say stays');
      }, PATIENT)
      .toBe('hello');
    const { out } = await weft({}, 'flows', '--open', '--from', 'mailer', '--json', '--data', mixed.directory);
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(flows).toContainEqual(
      expect.objectContaining({ source: 'mailer', user: 'bin', program: expect.stringContaining('python') }),
    );
    await callers.mailer.ask('close stays');
  }, 150_000);

  test('are held apart by their systemd units, in TCP and UDP, whoever runs them', async () => {
    await using made = new AsyncDisposableStack();
    const unit = (word: string) => made.adopt(unitGroup(word), (group) => group.remove());
    const [one, two] = [unit('one'), unit('two')];
    const caller = () => made.adopt(new Caller(asUser(DAEMON)), (each) => each.end());
    const those = { web: caller(), mailer: caller(), other: caller() };
    one.enter(those.web.pid);
    two.enter(those.mailer.pid);
    const match = { web: { unit: one.name }, mailer: { unit: two.name } };
    const units = await mesh.agent('units', { services: { web: { 3000: program.port }, mailer: {} }, match });
    const host = await units.vip('rabbit');
    const to = { connect: { host, port: 5672 }, talk: { host, port: 8125 } };
    for (const [rules, defaultAction, expected] of [
      [[NO_WEB], 'allow', { web: false, mailer: true, other: false }],
      [[NO_MAILER], 'allow', { web: true, mailer: false, other: false }],
      [[WEB_MAY], 'deny', { web: true, mailer: false, other: false }],
    ] as const) {
      await mesh.apply(meshOf(rules, defaultAction));
      const heard = (yes: string, no: string) =>
        Object.fromEntries(Object.entries(expected).map(([who, may]) => [who, may ? yes : no]));
      await expect.poll(() => said('connect', those, to), PATIENT).toEqual(heard('hello', 'reset'));
      await expect.poll(() => said('talk', those, to), PATIENT).toEqual(heard('hello', 'nothing'));
    }
    const { out } = await weft(
      {},
      'explain',
      '--pid',
      `${those.web.pid}`,
      'rabbit:5672',
      '--json',
      '--data',
      units.directory,
    );
    expect(JSON.parse(out)).toMatchObject({ rule: 'web-may', process: { service: 'web', unit: one.name } });
  }, 400_000);
});
