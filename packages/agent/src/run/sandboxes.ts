/** The programs of this host that are shut in, wired to the agent. */
import { resolve } from 'node:path';
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
  readonly workers?: number | undefined;
  readonly path: MainPath;
  /** Ends them. */
  readonly signal: AbortSignal;
}

/** Undefined where the system has no such namespaces. */
export function openSandboxes(parts: SandboxParts): Sandboxes | undefined {
  if (process.platform !== 'linux') return undefined;
  const { directory, runSocket, range, logger: log, file, store, dns, path, workers = 1, signal } = parts;
  const socket = resolve(runSocketOf(directory, runSocket, process.env));
  const own = resolve(directory);
  let enforcing: Promise<void> = Promise.resolve();
  /** What runs here has changed: said to all threads and to control, one change after the other. */
  const again = () => {
    enforcing = enforcing
      .then(() => path.servicesChanged())
      .catch((err: unknown) =>
        log.error({ event: 'sandbox-not-enforced', err }, 'what runs in sandboxes could not be enforced in full'),
      );
  };
  const sandboxes = new Sandboxes({
    path: socket,
    hide: [own, socket],
    range,
    netmap: () => store.current,
    rights: new SandboxRights({ services: file.services, uid: process.getuid?.() }),
    inside: path.programsInside,
    serves: workers === 1,
    entered: (service) => {
      if (file.enter(service)) again();
    },
    left: (service) => {
      if (file.leave(service)) again();
    },
    side: path.side,
    dns,
    files: path.files,
    problems: path.problems,
    log,
    signal,
  });
  // Once the steps are done.
  store.follow(async () => {
    setImmediate(() => sandboxes.follow());
  });
  return sandboxes;
}
