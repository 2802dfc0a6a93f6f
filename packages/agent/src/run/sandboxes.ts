/** The programs of this host that are shut in, wired to the agent. */
import { dirname, resolve } from 'node:path';
import type { AddressRange } from '@weft/proto';
import type { Logger } from 'pino';
import type { DnsServer } from '../dns/index.ts';
import type { NetmapStore } from '../netmap/store.ts';
import { SandboxRights } from '../sandbox/rights.ts';
import { Sandboxes } from '../sandbox/sandboxes.ts';
import { runSocketOf } from '../sandbox/socket-path.ts';
import type { FileInForce } from './file-in-force.ts';
import type { MainPath } from './main-path.ts';

export interface SandboxParts {
  readonly directory: string;
  readonly runSocket?: string | undefined;
  readonly range: AddressRange;
  readonly logger: Logger;
  readonly file: FileInForce;
  readonly store: NetmapStore;
  readonly dns: DnsServer;
  readonly path: MainPath;
  /** Ends them. */
  readonly signal: AbortSignal;
}

/** Undefined where the system has no such namespaces. */
export function openSandboxes(parts: SandboxParts): Sandboxes | undefined {
  if (process.platform !== 'linux') return undefined;
  const { directory, runSocket, range, logger: log, file, store, dns, path, signal } = parts;
  const socket = resolve(runSocketOf(directory, runSocket, process.env));
  const own = resolve(directory);
  const sandboxes = new Sandboxes({
    path: socket,
    hide: [...new Set([own, dirname(socket)])],
    range,
    netmap: () => store.current,
    rights: new SandboxRights({ services: file.services, uid: process.getuid?.() }),
    sandboxed: path.sandboxed,
    side: path.side,
    dns,
    files: path.files,
    problems: path.problems,
    log,
    signal,
  });
  // Once the steps are done. Nobody waits for it: one that is stopped (Ctrl-Z) hands over nothing, and is not to hold up the network.
  store.follow(async () => {
    setImmediate(() => void sandboxes.follow());
  });
  return sandboxes;
}
