/** Where a program of this host takes what others send it. */
import type { Protocol } from '@weft/proto';

/** An address of this host; `0.0.0.0` stands for all of IPv4, `::` for all of IPv6 and nothing else. */
export interface Place {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** A program of a service that listens beside the service's targets. */
export interface ListeningProgram extends Place {
  readonly service: string;
  /** Path of its file; empty where it may not be seen. */
  readonly program: string;
}

/** Of them, the guard closes no more. */
export const MOST_PLACES = 4_096;

/** The same for the same place. */
export function placeKey({ protocol, address, port }: Place): string {
  return `${protocol} ${address} ${port}`;
}
