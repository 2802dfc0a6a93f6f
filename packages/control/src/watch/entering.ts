/** Streams that proved whose they are and have not said yet how they stand: a few of each agent, for each keeps a connection. */
import { entryOf } from '@weft/proto';
import { observedHost } from '../bounds/observed.ts';
import type { AgentStream } from './agent-stream.ts';

/** Addresses from which one agent's streams may be on their way in at once. */
const MOST_ENTERING = 8;

export class Entering {
  /** By agent id, and by the address that each comes from. */
  readonly #streams = new Map<string, Map<string, AgentStream>>();

  get size(): number {
    let size = 0;
    for (const streams of this.#streams.values()) size += streams.size;
    return size;
  }

  has(agentId: string): boolean {
    return this.#streams.has(agentId);
  }

  /**
   * Answers whose place it takes, to be ended. One from each address, so that who has a copy of the keys shuts out nobody at another by coming
   * again and again.
   */
  add(agentId: string, session: AgentStream): AgentStream | undefined {
    const streams = entryOf(this.#streams, agentId, () => new Map());
    const home = observedHost(session.peer);
    const [oldest] = streams.keys();
    const gives = streams.has(home) || streams.size < MOST_ENTERING ? home : (oldest ?? home);
    const replaced = streams.get(gives);
    streams.delete(gives);
    streams.set(home, session);
    return replaced;
  }

  /** It has said how it stands, and is a member from now on. */
  took(agentId: string, session: AgentStream): void {
    this.#streams.get(agentId)?.delete(observedHost(session.peer));
  }

  /** It has ended. */
  drop(session: AgentStream): void {
    for (const [agentId, streams] of this.#streams) {
      for (const [home, other] of streams) if (other === session) streams.delete(home);
      if (streams.size === 0) this.#streams.delete(agentId);
    }
  }
}
