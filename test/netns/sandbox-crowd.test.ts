/** A hundred sandboxes on one host: what each takes beside its program, and that none of it is for looking at what does not change. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUPERVISOR } from '../../packages/agent/src/sandbox/perl/supervisor.ts';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { children, commandOf, ticksOf } from '../harness/processes.ts';
import { until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('perl', 'unshare');

const CROWD = 100;
/** Of each, with all that Weft adds for it. */
const MOST_KIB = 25 * 1024;
/** Of a core, all together at rest. Processor time: a busy machine is no more of it. Where each read the tables of sockets it would be several cores. */
const MOST_PERCENT = 50;
/** Perl programs that start on a busy machine. */
const STARTED_MS = 120_000;

const MESH = `
network: prod
services:
  mailer: { kind: worker }
  redis:  { kind: private, ports: [6379] }
`;

describe.skipIf(missing !== undefined)(titled('a hundred sandboxes', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let front: Host;
  let agent: Agent;
  /** A process of another host. */
  let elsewhere: number;

  const sandboxes = async (): Promise<readonly { readonly pid: number }[]> =>
    (await agent.status<{ sandboxes: readonly { pid: number }[] }>()).sandboxes;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    const control = await Control.start(await lab.host('main'));
    elsewhere = control.process.pid;
    await control.apply(MESH);
    front = await lab.host('front');
    const token = await control.token('--host', 'front', '--services', 'mailer');
    agent = await Agent.start(front, { token, config: 'services: {}' });
    // The relay is there from the first who comes.
    await front.check(['weft', 'run', '--service', 'mailer', '--data', agent.dataDir, '--', 'true']);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('take at most 25 MiB each beside their programs, and next to no time while nothing changes', async () => {
    const { pid: own } = agent.process;
    const before = memoryOf(own);
    // As weft run becomes, without a Node for each: it is gone by then.
    const facts = {
      ...{ service: 'mailer', name: 'mailer', range: '127.80.0.0', prefix: '12', egress: '', nft: '', ports: '' },
      ...{ socket: join(agent.dataDir, 'run.sock'), hello: '1 mailer egress= ports=' },
    };
    const argv = ['perl', '-e', SUPERVISOR, process.arch, ...Object.entries(facts).map((pair) => pair.join('=')), '--'];
    // All of one shell, so that the test has one process to start and end.
    const all = front.start([
      'bash',
      '-c',
      'for i in $(seq "$0"); do "$@" & done; wait',
      String(CROWD),
      ...argv,
      'sleep',
      '3600',
    ]);
    const pids = (await until('all run', sandboxes, ({ length }) => length === CROWD, STARTED_MS)).map(
      ({ pid }) => pid,
    );
    await until(
      'each has its program',
      () => pids.filter((pid) => programOf(pid) !== undefined),
      ({ length }) => length === CROWD,
      STARTED_MS,
    );

    const supervisors = sum(pids.map((pid) => memoryOf(pid) + memoryOf(firstOf(pid))));
    const grown = memoryOf(own) - before;
    const [relayPid = 0] = children(own).filter((pid) => commandOf(pid).startsWith('weft sandboxes'));
    const relay = memoryOf(relayPid);
    const each = (supervisors + grown + relay) / CROWD;
    const timed = [own, relayPid, ...pids];
    const [startedMs, ticks] = [Date.now(), sum(timed.map(ticksOf))];
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const percent = (sum(timed.map(ticksOf)) - ticks) / ((Date.now() - startedMs) / 1_000);
    process.stdout.write(
      `each of ${CROWD}: ${(each / 1024).toFixed(1)} MiB (supervisors ${Math.round(supervisors / CROWD)} KiB, agent ${Math.round(grown / CROWD)} KiB, ` +
        `relay ${Math.round(relay / CROWD)} KiB); all together at rest ${percent.toFixed(1)} % of a core\n`,
    );
    expect(supervisors).toBeGreaterThan(0);
    expect(each).toBeLessThan(MOST_KIB);
    expect(percent).toBeLessThan(MOST_PERCENT);
    const explain = async (pid: number | undefined) => {
      const { stdout } = await front.run([
        ...['weft', 'explain', '--pid', `${pid}`, 'redis:6379', '--json', '--data', agent.dataDir],
      ]);
      return JSON.parse(stdout) as { readonly process?: object; readonly steps?: readonly string[] };
    };
    expect(await explain(programOf(pids[0] ?? 0))).toMatchObject({
      verdict: 'allow',
      process: { service: 'mailer', program: expect.stringContaining('sleep') },
      steps: expect.arrayContaining(['it is in a sandbox of weft run, so it speaks as mailer']),
    });
    const { stderr } = await front.run([
      ...['weft', 'explain', '--pid', `${elsewhere}`, 'redis:6379', '--data', agent.dataDir],
    ]);
    expect(stderr).toContain('is in another network namespace, and in no sandbox of weft run');
    await all.kill();
    await until('none is left', sandboxes, ({ length }) => length === 0, STARTED_MS);
  }, 300_000);
});

/** Proportional set size, KiB. */
function memoryOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function firstOf(supervisor: number): number {
  return children(supervisor)[0] ?? 0;
}

/** Undefined until it is `sleep`. */
function programOf(supervisor: number): number | undefined {
  return children(firstOf(supervisor)).find((pid) => commandOf(pid).startsWith('sleep'));
}
