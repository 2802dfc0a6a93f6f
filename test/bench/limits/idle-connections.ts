/** What an open connection that says nothing costs the agents at its two ends. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../harness/until.ts';
import { type Limit, notLinux } from './limit.ts';
import { KIB, residentBytes, settledBytes } from './memory.ts';
import { type Address, LimitMesh } from './mesh.ts';

const CONNECTIONS = 10_000;
const QUICK_CONNECTIONS = 4_000;
/** Opened and closed before, so that code, buffers and young memory that any traffic needs are not counted. */
const WARM = 1_000;
const AT_ONCE = 50;
const TARGET_KIB = 8;
/** An agent collects what work has left in it after a minute of rest. */
const REST_MS = 70_000;

export const idleConnections: Limit = {
  name: 'idle-connections',
  what: `growth of an agent for each of ${CONNECTIONS.toLocaleString('en')} open idle TCP connections through it`,
  target: `at most ${TARGET_KIB} KiB, at either end`,
  async missing() {
    return (await notLinux()) ?? fewFiles();
  },
  async measure(quick, signal) {
    const count = quick ? QUICK_CONNECTIONS : CONNECTIONS;
    await using mesh = await LimitMesh.start('  echo: { kind: private, ports: [7000] }\n', signal);
    const { port } = await mesh.server('echo');
    const serving = await mesh.agent('serving', { echo: { 7000: port } });
    const calling = await mesh.agent('calling', {});
    const place = await mesh.place(calling, 'echo', 7000);
    const pids = [calling.pid, serving.pid];
    const look = (milliseconds: number) =>
      Promise.all(pids.map((pid) => settledBytes(pid, quick ? milliseconds / 2 : milliseconds, signal)));

    await (await hold(mesh, place, WARM)).kill();
    await until('the warm connections to be gone', () => pids.every((pid) => openFiles(pid) < 100));
    if (!quick) await sleep(REST_MS, undefined, { signal });
    const before = await look(4_000);
    const holder = await hold(mesh, place, count);
    const busiest = pids.map(residentBytes);
    // What opening them has thrown away is collected in its own time; what is there after that is what they cost.
    await sleep(quick ? 1_000 : REST_MS, undefined, { signal });
    const after = await look(5_000);
    await holder.kill();

    const each = after.map((bytes, index) => (bytes - (before[index] ?? 0)) / count / KIB);
    const [caller = 0, server = 0] = each;
    const peak = busiest.map((bytes, index) => ((bytes - (before[index] ?? 0)) / count / KIB).toFixed(1));
    const value = Math.max(caller, server);
    const detail =
      `calling agent ${caller.toFixed(1)} KiB, serving agent ${server.toFixed(1)} KiB, of ${count} connections; ` +
      `${peak.join(' and ')} KiB right after they were opened`;
    return { value, unit: 'KiB', reached: value <= TARGET_KIB, detail };
  },
};

async function hold(mesh: LimitMesh, { host, port }: Address, count: number) {
  const holder = mesh.program('hold', host, port, count, AT_ONCE);
  await holder.output(/held/, 120_000);
  return holder;
}

/** Files the process has open. */
function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Every process of Node raises its own limit to the hard one when it starts, the agent too. */
function fewFiles(): string | undefined {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  if (hard === 'unlimited' || Number(hard) >= CONNECTIONS + 1_000) return undefined;
  return `the hard limit of open files is ${hard}, and every process of it needs ${CONNECTIONS + 1_000}`;
}
