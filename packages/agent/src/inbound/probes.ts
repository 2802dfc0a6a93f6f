/** Health of targets that the kernel's table cannot tell of, those on other machines: a connection is tried now and then. */
import { connect } from 'node:net';
import { entryOf, formatHostPort, isShortage } from '@weft/proto';
import type { TargetAddress } from './addresses.ts';

const EVERY_MS = 5_000;
const TIMEOUT_MS = 2_000;
const AT_ONCE = 16;

interface Probe {
  readonly target: TargetAddress;
  listening: boolean;
  checkedMs: number;
  asked: boolean;
}

/** TCP only: an unanswered datagram says nothing. A target is taken to listen from its first good probe to its first bad one. */
export class Probes {
  readonly #probes = new Map<string, Probe>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The last result, and a request to keep probing this target until the next `run`. */
  listening(target: TargetAddress): boolean {
    const unknown = () => ({ target, listening: false, checkedMs: Number.NEGATIVE_INFINITY, asked: true });
    const probe = entryOf(this.#probes, formatHostPort(target.host, target.port), unknown);
    probe.asked = true;
    return probe.listening;
  }

  /** Probes what is due, a few at once, and forgets what nobody asked for since the last run. */
  async run(signal: AbortSignal): Promise<void> {
    const due: Probe[] = [];
    for (const [key, probe] of this.#probes) {
      if (!probe.asked) this.#probes.delete(key);
      else if (this.#now() - probe.checkedMs >= EVERY_MS) due.push(probe);
      probe.asked = false;
    }
    const worker = async () => {
      for (let probe = due.pop(); probe !== undefined && !signal.aborted; probe = due.pop()) {
        probe.checkedMs = this.#now();
        probe.listening = await accepts(probe, signal);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}

function accepts({ target: { host, port }, listening: before }: Probe, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    const settle = (listening: boolean) => {
      // An orderly end would leave the program a connection to say goodbye on; it asked for none.
      if (listening) socket.resetAndDestroy();
      else socket.destroy();
      resolve(listening);
    };
    socket.setTimeout(TIMEOUT_MS, () => settle(false));
    socket.on('connect', () => settle(true));
    socket.on('error', (cause: NodeJS.ErrnoException) => settle(isShortage(cause) ? before : false));
  });
}
