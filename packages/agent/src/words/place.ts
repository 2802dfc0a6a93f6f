/** Where a program of this host takes what others send it. */
import type { Protocol } from '@weft/proto';

/** An address of this host; `0.0.0.0` stands for all of IPv4, `::` for all of IPv6 and nothing else. */
export interface Place {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** Of them, the guard closes no more. */
export const MOST_PLACES = 4_096;

/** The same for the same place. */
export function placeKey({ protocol, address, port }: Place): string {
  return `${protocol} ${address} ${port}`;
}
