/** The plain programs that made hosts serve and call with: an echo over TCP and UDP, and many connections at once. */
import type { Host } from './host.ts';
import type { Process } from './process.ts';
import { until } from './until.ts';

/** Serves on 127.0.0.1 of the host: TCP on port 7000, UDP on port 7001. */
export async function serveEcho(host: Host): Promise<void> {
  await Promise.all([
    host.start(['node', 'test/fixtures/echo-server.ts', '7000']).output(/ready/),
    host.start(['node', 'test/fixtures/udp-echo.ts', '7001']).output(/ready/),
  ]);
}

/** Whether the service says again over TCP what it is told. */
export async function echoes(from: Host, service = 'echo', timeoutSeconds = 2): Promise<boolean> {
  const call = `echo hi | timeout ${timeoutSeconds} nc -N ${service} 7000`;
  return (await from.run(['sh', '-c', call])).stdout === 'hi\n';
}

export interface PingCounts {
  readonly open: number;
  readonly broken: number;
  /** Lines that came back on the connection that got the fewest. */
  readonly fewest: number;
  /** The longest that a line was waited for, ms. */
  readonly longest: number;
}

/** Connections to an echo, each of which says a line again and again. */
export class PingLoop {
  readonly process: Process;

  private constructor(process: Process) {
    this.process = process;
  }

  /** Answers when all are open. */
  static async start(from: Host, service: string, connections: number): Promise<PingLoop> {
    const loop = new PingLoop(from.start(['node', 'test/fixtures/ping-loop.ts', service, '7000', String(connections)]));
    await loop.process.output(/ready/);
    return loop;
  }

  /** A connection was reset. */
  async broken(timeoutMs: number): Promise<void> {
    await this.process.output(/ECONNRESET/, timeoutMs);
  }

  /** What it counts now. */
  async counts(): Promise<PingCounts> {
    const told = this.process.stdout.length;
    this.process.signal('SIGUSR2');
    const line = await until(
      'the ping loop tells its counts',
      () => this.process.stdout.slice(told).trim(),
      (text) => text.endsWith('}'),
    );
    return JSON.parse(line.split('\n').at(-1) ?? '');
  }

  async stop(): Promise<void> {
    this.process.signal('SIGTERM');
    await this.process.finished();
  }
}
