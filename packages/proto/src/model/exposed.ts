/** What others reach of an agent's host past Weft, by its own word and by others' tries. */
import type { Protocol } from './mesh.ts';

/**
 * What came of a try: something took the connection; something said no at once; nothing came back; nobody can tell, as of a datagram; it was not
 * made, for it is none of the addresses that the asked agent knows of that peer, or too many were asked for; or a later version's word.
 */
export const PLACE_OUTCOMES = ['answers', 'refused', 'silent', 'untold', 'not-tried', 'other'] as const;
export type PlaceOutcome = (typeof PLACE_OUTCOMES)[number];

export interface TriedPlace {
  /** Of a host, never a wildcard. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** What one host found of a place of another. */
export interface PlaceTry extends TriedPlace {
  /** Who tried. */
  readonly host: string;
  readonly outcome: PlaceOutcome;
  /** Milliseconds since the Unix epoch, by control's clock. */
  readonly timeMs: number;
}

/** Where a program of a service listens beyond loopback. */
export interface ReportedExposure {
  readonly service: string;
  readonly protocol: Protocol;
  /** `0.0.0.0` for all of IPv4, `::` for all of IPv6. */
  readonly address: string;
  readonly port: number;
  /** File of a program that listens beside the service's targets; empty at a target, and where it may not be seen. */
  readonly program: string;
  /** Whether the guard closes it, by the agent's word. */
  readonly closed: boolean;
  /** Control's: what other agents found, of the last time that they were asked. An agent says none. */
  readonly tries: readonly PlaceTry[];
}
