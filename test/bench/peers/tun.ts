/** What the peers with a TUN device share: root, and addresses of their own on both hosts. */
import { accessSync } from 'node:fs';
import type { Process } from '../../harness/process.ts';
import type { Endpoint, Path } from '../path.ts';
import type { Stage } from '../stage.ts';

export function tunMissing(stage: Stage, ...programs: readonly string[]): string | undefined {
  const absent = programs.find((program) => !stage.installed(program));
  if (absent !== undefined) return `${absent} is not installed`;
  if (stage.made === undefined) return `it needs hosts of its own for its TUN device: ${stage.loopback}`;
  try {
    accessSync('/dev/net/tun');
    return undefined;
  } catch {
    return 'there is no /dev/net/tun';
  }
}

/** The way to the server host's address inside the tunnel, once calls pass. */
export async function tunPath(stage: Stage, host: string, processes: readonly Process[]): Promise<Path> {
  await stage.serve(host);
  const at = (port: number): Endpoint => ({ host, port });
  const path: Path = {
    tcp: at,
    udp: at,
    dns: undefined,
    http: undefined,
    processes,
  };
  await stage.reachable(path);
  return path;
}
