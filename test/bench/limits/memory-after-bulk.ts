/** What an agent has once it has rested from bulk, beside what it had before. */
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../statistics.ts';
import { type Limit, notLinux } from './limit.ts';
import { MIB, residentBytes } from './memory.ts';
import { LimitMesh } from './mesh.ts';

const SERVICES = 100;
const BULK_MS = 10_000;
/** In which it gives back what its start took. */
const START_MS = 25_000;
/** Each figure is the median of as long: pages of files come and go, and what an agent does once a minute leaves 10 MiB for some seconds. */
const LOOK_MS = 60_000;
/** The second thread that bulk begins goes after a minute without it, and all is collected after a minute more. */
const REST_MS = 140_000;
/** The same of one thread. */
const QUICK_REST_MS = 75_000;
const TARGET = 1.1;

export const memoryAfterBulk: Limit = {
  name: 'memory-after-bulk',
  what: `resident memory of an agent some minutes after ${BULK_MS / 1_000} s of bulk, over what it had before`,
  target: `at most ${TARGET}x, at either end`,
  missing: notLinux,
  async measure(quick, signal) {
    const names = Array.from({ length: SERVICES }, (_, index) => `service-${index}`);
    await using mesh = await LimitMesh.start(
      names.map((name) => `  ${name}: { kind: private, ports: [7000] }\n`).join(''),
      signal,
    );
    const { port } = await mesh.server('sink');
    // Of one thread nothing has to end first.
    const args = quick ? ['--workers', '1'] : [];
    const serving = await mesh.agent('serving', { 'service-0': { 7000: port } }, { args });
    const calling = await mesh.agent('calling', {}, { args });
    const to = await mesh.place(calling, 'service-0', 7000);
    const pids = [calling.pid, serving.pid];
    await sleep(START_MS, undefined, { signal });
    const before = await restingBytes(pids, LOOK_MS, signal);
    const { code, stderr } = await mesh.program('pour', to.host, to.port, BULK_MS).finished(4 * BULK_MS);
    if (code !== 0) throw new Error(`the bulk failed: ${stderr}`);
    const right = pids.map(residentBytes);
    await sleep(quick ? QUICK_REST_MS : REST_MS, undefined, { signal });
    const after = await restingBytes(pids, LOOK_MS, signal);
    const ratios = after.map((bytes, index) => bytes / (before[index] ?? bytes));
    const told = (bytes: readonly number[]): string => bytes.map((each) => (each / MIB).toFixed(1)).join(' and ');
    const value = Math.max(...ratios);
    const detail = `calling and serving agent ${told(before)} MiB before, ${told(right)} right after, ${told(after)} ${(quick ? QUICK_REST_MS : REST_MS) / 1_000} s later`;
    return { value, unit: 'x', reached: value <= TARGET, detail };
  },
};

/** The median of what each process held in that time. */
async function restingBytes(pids: readonly number[], milliseconds: number, signal: AbortSignal): Promise<number[]> {
  const samples = pids.map((): number[] => []);
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; ) {
    for (const [index, pid] of pids.entries()) samples[index]?.push(residentBytes(pid));
    await sleep(500, undefined, { signal });
  }
  return samples.map((of) => median(of) ?? 0);
}
