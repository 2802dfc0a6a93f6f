/** How long a small request waits when a bulk stream to the same peer is under way. */
import { type Bulk, createBulk } from './bulk.ts';
import { type Limit, medianOf, notLinux } from './limit.ts';
import { type Address, answerOf, LimitMesh } from './mesh.ts';

const TARGET = 3;

interface Pings {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

export const pingBesideBulk: Limit = {
  name: 'ping-beside-bulk',
  what: 'p99 of a 64-byte ping-pong beside a bulk stream to the same peer, relative to its p99 alone',
  target: `at most ${TARGET}x`,
  missing: notLinux,
  async measure(quick, signal) {
    const rounds = quick ? 2 : 5;
    const milliseconds = quick ? 1_500 : 3_000;
    const services = '  echo: { kind: private, ports: [7000] }\n  bulk: { kind: private, ports: [7001] }\n';
    await using mesh = await LimitMesh.start(services, signal);
    const { port } = await mesh.server('echo');
    const bulk = await createBulk(mesh);
    await mesh.agent('serving', { echo: { 7000: port }, bulk: { 7001: bulk.port } });
    const calling = await mesh.agent('calling', {});
    const echo = await mesh.place(calling, 'echo', 7000);
    const pour = await mesh.place(calling, 'bulk', 7001);
    const ping = ({ host, port: to }: Address): Promise<Pings> =>
      answerOf<Pings>(mesh.program('ping', host, to, milliseconds), milliseconds + 10_000);

    const alone: Pings[] = [];
    const beside: Pings[] = [];
    // Without Weft in its way, and the same bulk through Weft: what the machine's own processors add to the waiting.
    const direct: Pings[] = [];
    await ping(echo);
    for (let round = 0; round < rounds; round++) {
      alone.push(await ping(echo));
      beside.push(await during(bulk, pour, 2 * milliseconds, () => ping(echo)));
      direct.push(await during(bulk, pour, 2 * milliseconds, () => ping({ host: '127.0.0.1', port })));
    }
    const value = medianOf(beside.map(({ p99 }, round) => p99 / (alone[round]?.p99 ?? Number.NaN)));
    const detail =
      `alone ${written(alone)}; beside ${bulk.by} ${written(beside)}; ` +
      `for comparison a direct ping-pong beside the same stream ${written(direct)}`;
    return { value, unit: 'x', reached: value <= TARGET, detail };
  },
};

async function during<T>(bulk: Bulk, to: Address, milliseconds: number, work: () => Promise<T>): Promise<T> {
  const stream = await bulk.start(to, milliseconds + 2_000);
  try {
    return await work();
  } finally {
    await stream.end();
  }
}

function written(pings: readonly Pings[]): string {
  const of = (pick: (one: Pings) => number): string => (medianOf(pings.map(pick)) / 1_000).toFixed(3);
  return `p50 ${of(({ p50 }) => p50)} ms, p99 ${of(({ p99 }) => p99)} ms`;
}
