/** Peers as metrics name them: the first that came keep their names for good, and all later ones are one. */
import type { PeerTunnels } from '@weft/proto';

/** Peers with metrics of their own. */
const MAX_PEERS = 500;

export interface NamedPeers {
  readonly named: readonly PeerTunnels[];
  /** Undefined as long as every peer has a name. */
  readonly others: Pick<PeerTunnels, 'tunnels' | 'bytesSent' | 'bytesReceived'> | undefined;
}

type Bytes = Pick<PeerTunnels, 'bytesSent' | 'bytesReceived'>;
const NOTHING: Bytes = { bytesSent: 0, bytesReceived: 0 };

export class PeerTable {
  readonly #most: number;
  readonly #names = new Set<string>();
  /** Of those without a name, what each had at the last look. As many as there are peers. */
  #last: ReadonlyMap<string, Bytes> = new Map();
  /** Of all that ever had none, those that are gone as well: a counter must not go back. */
  #sent = 0;
  #received = 0;

  constructor(most: number = MAX_PEERS) {
    this.#most = most;
  }

  /** Each peer once; to be called at each look. */
  look(peers: readonly PeerTunnels[]): NamedPeers {
    const named: PeerTunnels[] = [];
    const rest: PeerTunnels[] = [];
    for (const peer of peers) (this.#admits(peer.host) ? named : rest).push(peer);
    for (const { host, bytesSent, bytesReceived } of rest) {
      const last = this.#last.get(host) ?? NOTHING;
      this.#sent += risen(last.bytesSent, bytesSent);
      this.#received += risen(last.bytesReceived, bytesReceived);
    }
    this.#last = new Map(rest.map(({ host, bytesSent, bytesReceived }) => [host, { bytesSent, bytesReceived }]));
    if (rest.length === 0 && this.#sent + this.#received === 0) return { named, others: undefined };
    const tunnels = rest.reduce((sum, peer) => sum + peer.tunnels, 0);
    return { named, others: { tunnels, bytesSent: this.#sent, bytesReceived: this.#received } };
  }

  #admits(host: string): boolean {
    if (this.#names.has(host)) return true;
    if (this.#names.size >= this.#most) return false;
    this.#names.add(host);
    return true;
  }
}

/** A peer that came back counts from 0. */
function risen(last: number, now: number): number {
  return now < last ? now : now - last;
}
