/** What weft forward is to listen on, and where it leads. */
import { isIP } from 'node:net';
import type { DestinationName } from '@weft/proto';
import { readDestination } from './destination.ts';
import { wrongValue } from './errors.ts';
import type { OpenStreams } from './open-streams.ts';

export interface ForwardSpec {
  /** Undefined: loopback, by both families where the host has them. */
  readonly address: string | undefined;
  /** 0: any that is free. */
  readonly port: number;
  readonly called: DestinationName;
}

/** Where a forward listens, and what it is told. */
export interface Forwarding {
  /** Of this host, to listen on. */
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Where this host's programs call the service. */
  readonly to: { readonly host: string; readonly port: number };
  /** Ends listening, and all that goes through it. */
  readonly signal: AbortSignal;
  /** Of all forwards, the streams that go through them; ended by the same signal. */
  readonly open: OpenStreams;
  readonly now: () => number;
  /** A call was ended by the service's side, not in order. `sinceMs`: when it was made. */
  readonly broken: (sinceMs: number) => void;
}

const ARGUMENT = '[LOCAL:]SERVICE:PORT';
/** A service's name begins with a letter, so that what stands before it is told apart. */
const FORM = /^(?:(?:(\[[^\]]*\]|[^:]+):)?(\d{1,5}):)?([a-z][^:]*:[^:]+)$/;

/** Reads `redis:6379`, `16379:redis:6379`, `192.0.2.7:16379:redis:6379` and `[::]:8125:statsd:8125/udp`. Throws UsageError. */
export function readForward(text: string): ForwardSpec {
  const [, host, local, to] = FORM.exec(text) ?? [];
  if (to === undefined)
    wrongValue(
      ARGUMENT,
      'a service and its port, such as redis:6379, or 16379:redis:6379 for another local port',
      text,
    );
  const called = readDestination(ARGUMENT, to);
  const address = host?.replace(/^\[(.*)\]$/, '$1');
  if (address !== undefined && isIP(address) === 0)
    wrongValue(ARGUMENT, 'an address of this host before the local port, and no name, such as 192.0.2.7', address);
  const port = local === undefined ? called.port : Number(local);
  if (port > 65_535) wrongValue(ARGUMENT, 'a local port from 0 to 65535', String(port));
  return { address, port, called };
}
