/** Health of targets that the kernel's table cannot tell of, those on other machines: a connection is tried now and then. */
import { entryOf, formatHostPort } from '@weft/proto';
import type { TargetAddress } from './addresses.ts';
import { type Refusal, tryTarget } from './try-target.ts';

const EVERY_MS = 5_000;
const AT_ONCE = 16;

type Outcome = 'listening' | Pick<Refusal, 'cause'>;

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
        const refusal = await tryTarget(probe.target, signal);
        if (refusal?.shortage !== true) probe.outcome = refusal ?? 'listening';
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}
