/** What agents hold of a stream whose reader is slower than its writer. */
import { type Limit, notLinux } from './limit.ts';
import { MIB, PeakWatch, settledBytes } from './memory.ts';
import { LimitMesh } from './mesh.ts';

const BYTES = 1_000_000_000;
const QUICK_BYTES = 200_000_000;
/** 80 MB/s on the whole, a tenth of what the agents could do: everything between writer and reader is full all the time. */
const BURST = 8_000_000;
const EVERY_MS = 100;
const WARM = 100_000_000;
const TARGET_MIB = 32;
/** In which a second thread has begun. */
const SECOND_MS = 3_000;

export const slowReader: Limit = {
  name: 'slow-reader',
  what: 'growth of an agent while 1 GB passes it to a reader that is slow',
  target: `at most ${TARGET_MIB} MiB, at either end`,
  missing: notLinux,
  async measure(quick, signal) {
    const bytes = quick ? QUICK_BYTES : BYTES;
    const services = '  fast: { kind: private, ports: [7000] }\n  slow: { kind: private, ports: [7001] }\n';
    await using mesh = await LimitMesh.start(services, signal);
    const fast = await mesh.server('sink');
    const slow = await mesh.server('sink', '--burst', BURST, '--every', EVERY_MS);
    const serving = await mesh.agent('serving', { fast: { 7000: fast.port }, slow: { 7001: slow.port } });
    const calling = await mesh.agent('calling', {});
    const pids = [calling.pid, serving.pid];
    const pour = async (service: string, port: number, amount: number): Promise<void> => {
      const to = await mesh.place(calling, service, port);
      const { code, stderr } = await mesh.program('pour', to.host, to.port, '--bytes', amount).finished(120_000);
      if (code !== 0) throw new Error(`the stream to ${service} failed: ${stderr}`);
    };

    // What a fast stream takes for good (young memory, compiled code, a full window) is no price of the slow reader.
    // Twice, for bulk begins a second thread, which then carries what is new and takes as much once.
    await pour('fast', 7000, WARM);
    await settledBytes(serving.pid, SECOND_MS, signal);
    await pour('fast', 7000, WARM);
    const before = await Promise.all(pids.map((pid) => settledBytes(pid, 1_000, signal)));
    using watch = new PeakWatch(pids);
    await pour('slow', 7001, bytes);
    const growth = watch.peaks.map((peak, index) => (peak - (before[index] ?? 0)) / MIB);
    const [caller = 0, server = 0] = growth;
    const arrived = JSON.parse((await slow.process.output(/^\{.*\}$/m))[0]) as { bytes: number; seconds: number };
    if (arrived.bytes !== bytes) throw new Error(`${arrived.bytes} bytes arrived of ${bytes}`);
    const value = Math.max(caller, server);
    const detail =
      `calling agent ${caller.toFixed(1)} MiB over ${((before[0] ?? 0) / MIB).toFixed(0)}, serving agent ` +
      `${server.toFixed(1)} MiB over ${((before[1] ?? 0) / MIB).toFixed(0)}; ${bytes / 1e6} MB in ${arrived.seconds.toFixed(1)} s`;
    return { value, unit: 'MiB', reached: value <= TARGET_MIB, detail };
  },
};
