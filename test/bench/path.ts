/** A way from the client host to the server host. */
import type { Process } from '../harness/process.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A peer that runs: where, on the client host, it takes what is meant for a port of the server host. */
export interface Path {
  /** Undefined where the peer carries no such thing. */
  tcp(port: number): Endpoint | undefined;
  udp(port: number): Endpoint | undefined;
  readonly dns: Endpoint | undefined;
  /** The peer's own processes on both ends. Their CPU is measured, and that of what they start. */
  readonly processes: readonly Process[];
}
