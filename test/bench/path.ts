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
  /** Where HTTP is taken for the web server, whatever host it asks for. */
  readonly http: Endpoint | undefined;
  /** The peer's own processes on both ends. Their CPU is measured, and that of what they start. */
  readonly processes: readonly Process[];
  /** Those that take HTTP, where these are others; their CPU is measured with that alone. */
  readonly front?: readonly Process[];
  /** Which of the processes stand where, where the shares of both ends are told. */
  readonly ends?: { readonly client: Process; readonly server: Process };
}

/** All that carries there, whatever is sent. */
export function processesOf({ processes, front = [] }: Pick<Path, 'processes' | 'front'>): readonly Process[] {
  return [...processes, ...front];
}
