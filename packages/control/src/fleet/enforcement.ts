/** Who waits until every connected agent of a network enforces a revision, who is still behind, and since when. */
import { byText } from '@weft/proto';

export interface ConnectedAgent {
  readonly agentId: string;
  readonly host: string;
  readonly enforcedRevision: number;
}

interface Waiter {
  readonly network: string;
  readonly revision: number;
  /** Host names by agent id. */
  readonly behind: Map<string, string>;
  done(): void;
}

export class Enforcement {
  readonly #connected: (network: string) => Iterable<ConnectedAgent>;
  readonly #waiters = new Set<Waiter>();

  constructor(connected: (network: string) => Iterable<ConnectedAgent>) {
    this.#connected = connected;
  }

  waitEnforced(network: string, revision: number, timeoutMs: number, signal: AbortSignal): Promise<string[]> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const behind = new Map<string, string>();
      for (const agent of this.#connected(network)) {
        if (agent.enforcedRevision < revision) behind.set(agent.agentId, agent.host);
      }
      if (behind.size === 0) {
        resolve([]);
        return;
      }
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        network,
        revision,
        behind,
        done: () => {
          leave();
          resolve([...behind.values()].sort(byText));
        },
      };
      const abort = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(waiter.done, timeoutMs);
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** An agent connected: it is waited for like the rest. */
  arrived(network: string, agent: ConnectedAgent): void {
    for (const waiter of this.#of(network)) {
      if (agent.enforcedRevision < waiter.revision) waiter.behind.set(agent.agentId, agent.host);
    }
  }

  enforced(network: string, agentId: string, revision: number): void {
    for (const waiter of this.#of(network)) if (revision >= waiter.revision) caughtUp(waiter, agentId);
  }

  /** An agent disconnected: nobody can wait for it. */
  left(network: string, agentId: string): void {
    for (const waiter of this.#of(network)) caughtUp(waiter, agentId);
  }

  /** Answers everyone who waits with who is behind now. */
  close(): void {
    for (const waiter of [...this.#waiters]) waiter.done();
  }

  #of(network: string): Waiter[] {
    return [...this.#waiters].filter((waiter) => waiter.network === network);
  }
}

function caughtUp(waiter: Waiter, agentId: string): void {
  if (waiter.behind.delete(agentId) && waiter.behind.size === 0) waiter.done();
}

/** When the newest revisions of one network came out, by control's clock: what tells for how long an agent is behind. */
interface Publication {
  readonly revision: number;
  readonly atMs: number;
}

/** An agent that is further behind is shown to be so since the oldest of these. */
const REMEMBERED = 64;

export class Publications {
  readonly #published: Publication[] = [];

  note(revision: number, atMs: number): void {
    this.#published.push({ revision, atMs });
    if (this.#published.length > REMEMBERED) this.#published.shift();
  }

  /** Since when a revision is out that is newer than this one; 0 when none is. */
  newerSinceMs(revision: number): number {
    return this.#published.find((published) => published.revision > revision)?.atMs ?? 0;
  }

  /** When each revision came out that is newer than `before`, and not newer than `revision`. */
  between(before: number, revision: number): number[] {
    return this.#published
      .filter((published) => published.revision > before && published.revision <= revision)
      .map(({ atMs }) => atMs);
  }
}
