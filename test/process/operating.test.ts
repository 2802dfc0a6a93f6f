/** The procedures of docs/OPERATING.md, as they stand there: control backed up, moved, restored, with new tokens and new keys. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJoinToken } from '@weft/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { read } from '../docs/sources.ts';
import { createLocalLab, type Host, type Lab } from '../harness/host.ts';
import type { Finished, Process } from '../harness/process.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent } from '../harness/weft.ts';
import { DENY, shop } from './shop.ts';

/** Agents that control held off ask again after up to 10 s. */
const HELD_OFF_MS = 40_000;

/** The commands of each block of a section. */
function blocks(heading: string): readonly (readonly string[])[] {
  const [, after = ''] = read('docs/OPERATING.md').split(new RegExp(`^#+ ${heading}$`, 'm'));
  const [own = ''] = after.split(/^#/m);
  return Array.from(own.matchAll(/```sh\n([^`]+)```/g), ([, text = '']) => text.trim().split('\n'));
}

/** Types commands on a host, on which the variables stand for this. */
class Operator {
  readonly #host: Host;
  readonly variables: Record<string, string>;
  /** What serves. */
  control: Process;
  agent: Process | undefined;

  constructor(host: Host, control: Process, variables: Record<string, string>) {
    this.#host = host;
    this.control = control;
    this.variables = variables;
  }

  run(command: string): Promise<Finished> {
    return this.#host.run(['sh', '-c', command], { env: this.variables, cwd: this.#host.dir });
  }

  /** One that stays is waited for until it is ready. `beside`: what it takes where hosts share a machine. */
  async type(commands: readonly string[] | undefined, beside = ''): Promise<string> {
    let said = '';
    for (const command of commands ?? ['no such block']) {
      const serves = command.startsWith('weft-control serve');
      if (serves || command.startsWith('weft up')) {
        const whole = `exec ${command} ${serves ? '--dashboard off' : beside}`;
        const started = this.#host.start(['sh', '-c', whole], { env: this.variables, cwd: this.#host.dir });
        if (serves) this.control = started;
        else this.agent = started;
        await started.output(/ready/);
      } else {
        const { code, stdout, stderr } = await this.run(command);
        if (code !== 0) throw new Error(`${command}: ${stderr}`);
        said += stdout;
      }
    }
    return said;
  }

  connected(hosts: number, timeoutMs = SETTLED_MS): Promise<string> {
    const count = (text: string) =>
      (JSON.parse(text) as { agents: { connected: boolean }[] }).agents.filter(({ connected }) => connected).length;
    return until(
      `${hosts} are connected`,
      () => this.type(['weft agents --network prod --json']),
      (text) => count(text) === hosts,
      timeoutMs,
    );
  }
}

test('control is moved, restored from an older copy, and given other tokens and keys', async () => {
  await using cleanup = new AsyncDisposableStack();
  const lab = cleanup.use(createLocalLab());
  const { control, front, mesh, call, open } = await shop(lab, cleanup);
  const backup = join(control.host.dir, 'control.backup');
  const [data, moved] = [control.dataDir, `127.0.0.1:${await freePort()}`];
  const operator = new Operator(control.host, control.process, {
    ...{ DATA: data, BACKUP: backup, AGENT: front.dataDir },
    ...{ OLD: control.listen, NEW: moved, WEFT_CONTROL: control.listen },
    WEFT_ADMIN_TOKEN_FILE: join(data, 'admin.token'),
  });
  const { variables } = operator;
  const hears = async () => (await front.status<{ control: { address: string } }>()).control.address;
  const { tunnel, dns, range } = front.options.shared ?? {};
  const beside = `--tunnel 127.0.0.1:${tunnel} --dns 127.0.0.1:${dns} --vip-range ${range}`;
  const ask = await open();

  // Move.
  const [both, copy, there] = blocks('Move');
  await operator.control.stop();
  await operator.type(both);
  await operator.connected(2);
  expect(await hears()).toBe(control.listen);
  await operator.control.stop();
  await operator.type(copy);
  expect(existsSync(data)).toBe(false);
  await operator.type(there);
  variables.WEFT_CONTROL = moved;
  await operator.connected(2);
  expect([await hears(), await ask()]).toEqual([moved, 'hello']);

  // Back up, while it runs, and lose what came after.
  variables.OLD = moved;
  expect(await operator.type(blocks('Back up')[0])).toMatch(/^wrote .*It holds the keys/);
  expect(statSync(backup).mode & 0o777).toBe(0o600);
  const apply = (file: string) => operator.type([`weft apply --wait -f ${file}`]);
  await apply(control.meshFile(mesh(DENY)));
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  await expect(ask()).rejects.toThrow('closed');
  const refused = await operator.run('weft-control restore $BACKUP --data $DATA');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('another weft-control is running')]);
  await operator.control.kill();
  const kept = await operator.run('weft-control restore $BACKUP --data $DATA');
  expect([kept.code, kept.stderr]).toEqual([1, expect.stringContaining('holds a control already')]);
  rmSync(data, { recursive: true });

  // Restore.
  const [restore, accept] = blocks('Restore');
  await operator.type(restore);
  await until(
    'control knows',
    () => operator.run(`weft status --json --data ${front.dataDir}`),
    ({ code, stdout }) => {
      const { agent, control: there } = JSON.parse(stdout);
      const held = agent.problems.some(({ code }: { readonly code: string }) => code === 'held-off');
      return code === 4 && held && there.older_data?.hosts.length === 2;
    },
    HELD_OFF_MS,
  );
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  const change = await operator.run(`weft apply -f ${control.meshFile(mesh('policies: []'))}`);
  expect([change.code, change.stderr]).toEqual([1, expect.stringContaining('--accept-older-data')]);
  await operator.control.stop();
  await operator.type(accept);
  await until(
    'the older rules hold',
    () => call().catch(String),
    (heard) => heard === 'hello',
    HELD_OFF_MS,
  );
  expect((await operator.run(`weft status --data ${front.dataDir}`)).stdout).toContain(
    'it was started with --accept-older-data',
  );

  // A token lost.
  const before = readFileSync(join(data, 'admin.token'), 'utf8');
  await operator.control.stop();
  await operator.type(blocks('Tokens lost or leaked')[0]);
  expect(readFileSync(join(data, 'admin.token'), 'utf8')).not.toBe(before);
  await operator.connected(2);

  // A host lost: control is where nobody was told.
  await operator.control.stop();
  variables.NEW = `127.0.0.1:${await freePort()}`;
  variables.WEFT_CONTROL = variables.NEW;
  await operator.type(['weft-control serve --data $DATA --listen $NEW --advertise $NEW']);
  await front.process.stop();
  await operator.type(blocks('A host that is lost')[0], beside);
  await operator.connected(1);
  expect(await call()).toBe('hello');

  // Keys lost.
  const [anew, joined] = blocks('Keys lost or leaked');
  await operator.control.stop();
  variables.OLD = variables.NEW;
  writeFileSync(join(control.host.dir, 'mesh.yaml'), mesh('policies: []'));
  writeFileSync(join(control.host.dir, 'weft.yaml'), 'services: { web: {} }');
  await operator.type(anew);
  await operator.agent?.stop();
  await operator.type(joined, beside);
  await operator.connected(1);
});

describe('control as it stands', () => {
  const cleanup = new AsyncDisposableStack();
  let lab: Lab;
  let there: Awaited<ReturnType<typeof shop>>;
  beforeAll(async () => {
    lab = cleanup.use(createLocalLab());
    there = await shop(lab, cleanup);
  });
  afterAll(() => cleanup.disposeAsync());

  test('a host is let run a service more while it runs, and less', async () => {
    const { control, front, mesh, open } = there;
    const operator = new Operator(control.host, control.process, {
      ...{ AGENT: front.dataDir, WEFT_CONTROL: control.listen },
      WEFT_ADMIN_TOKEN_FILE: join(control.dataDir, 'admin.token'),
    });
    writeFileSync(join(control.host.dir, 'mesh.yaml'), mesh('policies: []'));
    const instances = (count: number) =>
      until(
        `${count} instances of echo`,
        () => operator.type(['weft services --json']),
        (text) => {
          const { services } = JSON.parse(text) as { services: { service: { name: string }; instances: unknown[] }[] };
          return services.find(({ service }) => service.name === 'echo')?.instances.length === count;
        },
      );
    const ask = await open();
    const [widen, reload, narrow] = blocks('Add a service to a host');
    await operator.type(widen);
    writeFileSync(join(front.host.dir, 'weft.yaml'), 'services: { web: {}, echo: {} }');
    await operator.type(reload);
    await instances(2);
    await operator.type(narrow);
    await instances(1);
    expect(await ask()).toBe('hello');
  });

  test('a token that leaked is replaced, and of its hosts goes only who is no friend', async () => {
    const { control, open } = there;
    const leaked = await control.ok('token', 'create', '--network', 'prod', '--services', 'web', '--reusable');
    const apart = async () => ({ tunnel: await freePort(), dns: await freePort(), range: freeRange() });
    const begin = async (name: string) => {
      const agent = await Agent.start(await lab.host(name), { token: leaked, shared: await apart() });
      // Of itself it has the name of the machine, as all do that come by a token for any host.
      const { host } = await agent.status<{ host: string }>();
      await control.ok('agents', 'rename', '--network', 'prod', host, name);
      return agent;
    };
    await begin('build');
    const evil = await begin('evil');
    const fresh = await lab.host('fresh');
    const operator = new Operator(control.host, control.process, {
      ...{ TOKEN: decodeJoinToken(leaked).id, HOST: 'evil', AGENT: join(fresh.dir, 'agent') },
      ...{ WEFT_CONTROL: control.listen, WEFT_ADMIN_TOKEN_FILE: join(control.dataDir, 'admin.token') },
    });
    const ask = await open();
    const [replace, look, start] = blocks('A token has leaked');

    expect(await operator.type(replace)).toBe('');
    const file = join(control.host.dir, 'token.txt');
    const { id } = decodeJoinToken(readFileSync(file, 'utf8').trim());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // It was on disk before it was answered.
    await operator.control.kill();
    await operator.type([`weft-control serve --data ${control.dataDir} --listen ${control.listen}`]);
    const newcomer = await lab.host('newcomer');
    const { tunnel, dns } = await apart();
    const late = await newcomer.run(
      [
        'weft',
        'up',
        '--data',
        join(newcomer.dir, 'agent'),
        '--tunnel',
        `127.0.0.1:${tunnel}`,
        '--dns',
        `127.0.0.1:${dns}`,
      ],
      { env: { WEFT_JOIN: leaked } },
    );
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining(`was replaced by ${id}`)]);
    await operator.connected(4);
    const table = await operator.type(look);
    for (const name of ['build', 'evil'])
      expect(table).toMatch(new RegExp(`^${name} .* ${id} \\d{4}-\\d\\d-\\d\\d `, 'm'));
    await until(
      'the host is out',
      async () => (await evil.status<{ state: string }>()).state,
      (state) => state === 'revoked',
    );
    const mine = await apart();
    await operator.type(
      start,
      `--tunnel 127.0.0.1:${mine.tunnel} --dns 127.0.0.1:${mine.dns} --vip-range ${mine.range}`,
    );
    await operator.connected(4);
    expect(await ask()).toBe('hello');

    // The new one means those of the old.
    const { hosts } = JSON.parse(await operator.type([`weft token revoke ${id} --json`])) as { hosts: string[] };
    expect(hosts).toHaveLength(2);
    expect(hosts).toContain('build');
    expect(await ask()).toBe('hello');
  });
});
