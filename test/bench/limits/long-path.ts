/**
 * One stream over a long path. The path is a program that delays and has a rate: without a rate a path of any length is
 * as fast as this machine's processors, and holds what it was given without bound, which no network does. 400 Mbit/s with
 * 100 ms to and fro has 5 MB on its way, a little more than Linux' own socket buffers carry, and a tenth of what the agents
 * do without a delay, so that the path sets the pace and not the processors. Its queue holds the sender up and loses
 * nothing. Direct TCP ends at the path, and so pays neither for slow start nor for its window: a hard thing to compare with.
 */
import { freePort } from '../../../examples/demo/ports.ts';
import type { Process } from '../../harness/process.ts';
import { type Limit, medianOf, notLinux } from './limit.ts';
import { type Address, LimitMesh } from './mesh.ts';

const TARGET = 0.85;
const ONE_WAY_MS = 50;
const MEGABITS = 400;

export const longPath: Limit = {
  name: 'long-path',
  what: `one stream over a path of ${2 * ONE_WAY_MS} ms round trip and ${MEGABITS} Mbit/s, relative to direct TCP over the same path`,
  target: `at least ${TARGET}x`,
  missing: notLinux,
  async measure(quick, signal) {
    const rounds = quick ? 1 : 3;
    const milliseconds = quick ? 5_000 : 10_000;
    await using mesh = await LimitMesh.start('  bulk: { kind: private, ports: [7000] }\n', signal);
    const sink = await mesh.server('sink');
    const tunnel = await freePort();
    const toAgent = await mesh.server('path', tunnel, ONE_WAY_MS, MEGABITS);
    const toSink = await mesh.server('path', sink.port, ONE_WAY_MS, MEGABITS);
    const advertised = ['--advertise', `127.0.0.1:${toAgent.port}`];
    await mesh.agent('serving', { bulk: { 7000: sink.port } }, { tunnel, args: advertised });
    const calling = await mesh.agent('calling', {});
    const through = await mesh.place(calling, 'bulk', 7000);
    const speed = streams(mesh, sink.process, milliseconds);

    const direct: number[] = [];
    const weft: number[] = [];
    for (let round = 0; round < rounds; round++) {
      direct.push(await speed({ host: '127.0.0.1', port: toSink.port }));
      weft.push(await speed(through));
    }
    const value = medianOf(weft.map((megabits, round) => megabits / (direct[round] ?? Number.NaN)));
    const detail = `${medianOf(weft).toFixed(0)} Mbit/s of ${medianOf(direct).toFixed(0)}, the growth of the window in ${milliseconds / 1_000} s counted in`;
    return { value, unit: 'x', reached: value >= TARGET, detail };
  },
};

/** Megabits a second, from the first byte that arrives to the last, of streams one after the other. */
function streams(mesh: LimitMesh, sink: Process, milliseconds: number): (to: Address) => Promise<number> {
  let lines = sink.stdout.split('\n').length;
  return async ({ host, port }) => {
    const source = mesh.program('pour', host, port, milliseconds);
    const { code, stderr } = await source.finished(milliseconds + 20_000);
    if (code !== 0) throw new Error(`the stream failed: ${stderr}`);
    await sink.output(new RegExp(`^(?:.*\\n){${lines}}`));
    const { bytes, seconds } = JSON.parse(sink.stdout.split('\n')[lines - 1] ?? '') as {
      bytes: number;
      seconds: number;
    };
    lines += 1;
    return (bytes * 8) / 1e6 / seconds;
  };
}
