/** What the proxies share: a program at each end, and a pair of ports for each server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../harness/host.ts';
import type { Process } from '../../harness/process.ts';
import type { Endpoint, Path } from '../path.ts';
import type { Stage } from '../stage.ts';

/** One server's way: the load calls `near`, which goes encrypted to `far`, which calls `target`. */
export interface Hop {
  readonly name: string;
  readonly near: Endpoint;
  readonly far: Endpoint;
  readonly target: Endpoint;
}

export async function planHops(stage: Stage): Promise<readonly Hop[]> {
  await stage.serve('127.0.0.1');
  const hops: Hop[] = [];
  for (const name of stage.servers) {
    const port = stage.ports[name];
    hops.push({
      name,
      near: { host: '127.0.0.1', port: await stage.port() },
      far: { host: stage.server.address, port: await stage.port() },
      target: { host: '127.0.0.1', port },
    });
  }
  return hops;
}

/** The way over running programs, once calls pass. */
export async function proxyPath(stage: Stage, hops: readonly Hop[], processes: readonly Process[]): Promise<Path> {
  const path: Path = {
    tcp: (port) => hops.find((hop) => hop.target.port === port)?.near,
    udp: () => undefined,
    dns: undefined,
    http: undefined,
    processes,
  };
  await stage.reachable(path);
  return path;
}

export function writeOn(host: Host, name: string, text: string): string {
  const file = join(host.dir, name);
  writeFileSync(file, text);
  return file;
}
