/** Which resolvers have let a question wait: they are asked last, and now and then beside the others, until they answer again. */
import type { Upstream } from './upstreams.ts';

/** A silent resolver is tried again this often, milliseconds. */
const TRY_AGAIN_MS = 5_000;
/** More than a host has. */
const MOST = 64;

export interface Order {
  /** Those that answer first, each group in the order that they are named. */
  readonly upstreams: readonly Upstream[];
  /** One that was silent and may have come back: asked at once too, and not waited for. */
  readonly trial: Upstream | undefined;
}

export class UpstreamHealth {
  readonly #now: () => number;
  /** When each silent one may be tried again. */
  readonly #silent = new Map<string, number>();

  /** @param now monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  order(upstreams: readonly Upstream[]): Order {
    const silent = upstreams.filter((upstream) => this.#silent.has(keyOf(upstream)));
    if (silent.length === 0 || silent.length === upstreams.length) return { upstreams, trial: undefined };
    const now = this.#now();
    const trial = silent.find((upstream) => (this.#silent.get(keyOf(upstream)) ?? 0) <= now);
    if (trial !== undefined) this.#silent.set(keyOf(trial), now + TRY_AGAIN_MS);
    return { upstreams: [...upstreams.filter((upstream) => !silent.includes(upstream)), ...silent], trial };
  }

  answered(upstream: Upstream): void {
    this.#silent.delete(keyOf(upstream));
  }

  silent(upstream: Upstream): void {
    if (this.#silent.size >= MOST) this.#silent.clear();
    this.#silent.set(keyOf(upstream), this.#now() + TRY_AGAIN_MS);
  }
}

function keyOf({ host, port }: Upstream): string {
  return `${host} ${port}`;
}
