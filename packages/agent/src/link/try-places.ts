/**
 * Whether places of a peer's host answer past Weft, tried at its owner's wish when control asks. Only at an address that this agent's own netmap
 * has for that peer, and where the peer has just proved its key by a tunnel; a few at a time and not often: neither whoever speaks for control nor a peer
 * that lies about where it is gets a scanner. TCP is opened and closed, without a byte.
 */
import { connect } from 'node:net';
import { normalHost, type PlaceOutcome, parseHostPort, type TriedPlace, WIRE_LIMITS } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';

/** Silence for so long is a firewall's, or nobody's. */
const SILENT_MS = 2_000;
const AT_ONCE = 8;
/** Of a minute, whoever asks. */
const MOST_A_MINUTE = 128;
const MINUTE_MS = 60_000;

/** HOST:PORT where a tunnel to the peer, made from here, has its other end. Rejects where there is none. */
export type FindPeer = (agentId: string, signal: AbortSignal) => Promise<string>;

export class PlaceTries {
  readonly #find: FindPeer;
  readonly #now: () => number;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #spent = 0;

  /** `now`: monotonic, milliseconds. */
  constructor(find: FindPeer, now: () => number = performance.now.bind(performance)) {
    this.#find = find;
    this.#now = now;
  }

  /** In the order of the places. Never rejects. */
  async try(
    netmap: Netmap,
    agentId: string,
    places: readonly TriedPlace[],
    signal: AbortSignal,
  ): Promise<readonly PlaceOutcome[]> {
    const hosts = new Set(
      (netmap.peers.get(agentId)?.endpoints ?? []).map((endpoint) => normalHost(parseHostPort(endpoint)?.host ?? '')),
    );
    const outcomes: PlaceOutcome[] = places.map(() => 'not-tried');
    const isTried = places.some(({ address, protocol }) => protocol === 'tcp' && hosts.has(normalHost(address)));
    const proved = isTried ? await this.#provedAt(agentId, signal) : undefined;
    let next = 0;
    const worker = async () => {
      for (let at = next++; at < places.length && at < WIRE_LIMITS.triedPlaces; at = next++) {
        const place = places[at];
        if (place === undefined || signal.aborted) return;
        const host = normalHost(place.address);
        if (host === undefined || !hosts.has(host)) continue;
        // Whether a datagram is taken nobody can tell but by an answer, and what would be answered nobody knows.
        if (place.protocol === 'udp') outcomes[at] = 'untold';
        else if (host === proved && this.#maySpend()) outcomes[at] = await tryOnce(place, signal);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return outcomes;
  }

  async #provedAt(agentId: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      return normalHost(parseHostPort(await this.#find(agentId, signal))?.host ?? '');
    } catch {
      // Who cannot be reached has proved nothing.
      return undefined;
    }
  }

  #maySpend(): boolean {
    const now = this.#now();
    if (now - this.#sinceMs >= MINUTE_MS) {
      this.#sinceMs = now;
      this.#spent = 0;
    }
    this.#spent += 1;
    return this.#spent <= MOST_A_MINUTE;
  }
}

function tryOnce({ address, port }: TriedPlace, signal: AbortSignal): Promise<PlaceOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (outcome: PlaceOutcome) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      socket.destroy();
      resolve(outcome);
    };
    const stop = () => settle('not-tried');
    const timer = setTimeout(() => settle('silent'), SILENT_MS);
    signal.addEventListener('abort', stop, { once: true });
    socket.on('connect', () => settle('answers'));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      const here = code === 'EMFILE' || code === 'ENFILE' || code === 'EADDRNOTAVAIL';
      settle(code === 'ECONNREFUSED' ? 'refused' : here ? 'not-tried' : 'silent');
    });
  });
}
