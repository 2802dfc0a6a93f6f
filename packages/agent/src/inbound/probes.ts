/** Health of targets that the kernel's table cannot tell of, those on other machines: a connection is tried now and then. */
import { connect } from 'node:net';
import { entryOf, formatHostPort, isShortage } from '@weft/proto';
import { systemWords } from '../bytes/system-words.ts';
import type { TargetAddress } from './addresses.ts';

const EVERY_MS = 5_000;
const TIMEOUT_MS = 2_000;
const AT_ONCE = 16;

type Outcome = 'listening' | { readonly cause: string };

interface Probe {
  readonly target: TargetAddress;
  /** Undefined until the first has ended. */
  outcome: Outcome | undefined;
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
    const unknown = () => ({ target, outcome: undefined, checkedMs: Number.NEGATIVE_INFINITY, asked: true });
    const probe = entryOf(this.#probes, formatHostPort(target.host, target.port), unknown);
    probe.asked = true;
    return probe.outcome === 'listening';
  }

  /** Why the last was in vain; undefined when it was not, or there was none. */
  cause(target: TargetAddress): string | undefined {
    const outcome = this.#probes.get(formatHostPort(target.host, target.port))?.outcome;
    return outcome === 'listening' ? undefined : outcome?.cause;
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
        probe.outcome = await accepts(probe, signal);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}

function accepts({ target: { host, port }, outcome: before }: Probe, signal: AbortSignal): Promise<Probe['outcome']> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    const settle = (outcome: Probe['outcome']) => {
      // An orderly end would leave the program a connection to say goodbye on; it asked for none.
      if (outcome === 'listening') socket.resetAndDestroy();
      else socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(TIMEOUT_MS, () => settle({ cause: `no answer within ${TIMEOUT_MS / 1_000} s` }));
    socket.on('connect', () => settle('listening'));
    socket.on('error', (cause) => settle(isShortage(cause) ? before : { cause: systemWords(cause) }));
  });
}
