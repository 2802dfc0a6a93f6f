/** A stream that runs as fast as it may: iperf3 where it is installed, for it takes little of the processor, else our own. */
import { freePort } from '../../../examples/demo/ports.ts';
import { run } from '../../harness/process.ts';
import { whenFree } from '../when-free.ts';
import type { Address, LimitMesh } from './mesh.ts';

export interface Bulk {
  /** What pours, for people. */
  readonly by: string;
  /** Port of 127.0.0.1 that takes the stream. */
  readonly port: number;
  /** Starts a stream of at most that time; it runs when this resolves. */
  start(to: Address, milliseconds: number): Promise<{ end(): Promise<void> }>;
}

export async function createBulk(mesh: LimitMesh): Promise<Bulk> {
  const iperf3 = (await run(['iperf3', '--version'])).code === 0;
  if (!iperf3) {
    const { port } = await mesh.server('sink');
    return {
      by: 'a Node program',
      port,
      async start({ host, port: to }, milliseconds) {
        const pouring = mesh.program('pour', host, to, milliseconds);
        await pouring.output(/pouring/);
        return { end: () => pouring.kill() };
      },
    };
  }
  const port = await freePort();
  const server = mesh.run(['iperf3', '-s', '-B', '127.0.0.1', '-p', `${port}`, '--forceflush']);
  await server.output(/listening/);
  return {
    by: 'iperf3',
    port,
    async start({ host, port: to }, milliseconds) {
      const seconds = Math.ceil(milliseconds / 1_000);
      const argv = ['-c', host, '-p', `${to}`, '-t', `${seconds}`, '-i', '0.5', '--forceflush'];
      const client = await whenFree(async () => {
        const started = mesh.run(['iperf3', ...argv]);
        // Its first half second is over, and the stream has found its pace.
        await started.output(/bits\/sec/);
        return started;
      });
      return {
        async end() {
          // Its server takes one client at a time, and is free when this one has left in order.
          client.signal('SIGINT');
          await client.finished(5_000);
        },
      };
    },
  };
}
