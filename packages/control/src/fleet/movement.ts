/** What one agent's telemetry comes to over time: how fast bytes move, and how far its clock is off. */
import type { PeerTunnels, Telemetry } from '@weft/proto';
import type { PeerRate, PeerRates } from './live.ts';

/** A minute of an agent's telemetry. */
const SKEWS = 12;
/** Four times an agent's interval: what it said before is no news any more. */
const SILENT_MS = 20_000;

export class Movement {
  #latest: Telemetry | undefined;
  #takenMs = 0;
  #rates: PeerRates = NO_RATES;
  readonly #skews: number[] = [];

  get telemetry(): Telemetry | undefined {
    return this.#latest;
  }

  /**
   * A message on its way makes a clock look late, by a different time each: the one that was least delayed tells best.
   */
  get clockSkewMs(): number | undefined {
    return this.#skews.length === 0 ? undefined : Math.max(...this.#skews);
  }

  /** Nothing is known to move at an agent that has not said so for a while. */
  peerRates(nowMs: number): PeerRates {
    return nowMs - this.#takenMs > SILENT_MS ? NO_RATES : this.#rates;
  }

  /** `receivedMs` is when it arrived, which may be a while ago. */
  take(telemetry: Telemetry, receivedMs: number): void {
    this.#rates = ratesBetween(this.#latest, telemetry);
    // Who calls whom is kept by pair, elsewhere and within bounds.
    this.#latest = { ...telemetry, pairs: [] };
    this.#takenMs = receivedMs;
    this.#skews.push(telemetry.sentMs - receivedMs);
    if (this.#skews.length > SKEWS) this.#skews.shift();
  }

  /** The agent went away. What its clock is like stays known. */
  stop(): void {
    this.#latest = undefined;
    this.#rates = NO_RATES;
  }

  /** It is back, perhaps with another clock. */
  start(): void {
    this.stop();
    this.#skews.length = 0;
  }
}

const NO_RATES: PeerRates = new Map();

function ratesBetween(before: Telemetry | undefined, after: Telemetry): PeerRates {
  const seconds = (after.sentMs - (before?.sentMs ?? after.sentMs)) / 1_000;
  const earlier = new Map(before?.peers.map((peer) => [peer.host, peer]));
  const rates = new Map<string, PeerRate>();
  for (const peer of after.peers) {
    const rate = rateBetween(earlier.get(peer.host), peer, seconds);
    // Of many tunnels most are at rest.
    if (rate.sentPerSecond > 0 || rate.receivedPerSecond > 0) rates.set(peer.host, rate);
  }
  return rates;
}

/** No rate where counting began anew, and none over a time that a clock was set back in. */
function rateBetween(before: PeerTunnels | undefined, after: PeerTunnels, seconds: number): PeerRate {
  const perSecond = (was: number, is: number): number => (seconds > 0 ? Math.max(0, is - was) / seconds : 0);
  return {
    sentPerSecond: perSecond(before?.bytesSent ?? after.bytesSent, after.bytesSent),
    receivedPerSecond: perSecond(before?.bytesReceived ?? after.bytesReceived, after.bytesReceived),
  };
}
