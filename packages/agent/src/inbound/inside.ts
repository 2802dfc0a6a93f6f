/** Programs of this host that are shut in, as calls to their services get to them: a place of their own, not this host's loopback. */
import type { PortRange, Protocol } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';

export interface Inside {
  /** Whether one of them listens at the service's port. */
  listens(service: string, port: number, protocol: Protocol): boolean;
  /** Whether any program of the service is shut in here. */
  serves(service: string): boolean;
  /** What they listen on at ports that `declared` does not hold, as ranges in order. */
  opened(service: string, declared: readonly PortRange[]): readonly PortRange[];
  /** Connects to one, from the caller's address. Rejects with the system's error, or the deadline's reason. */
  stream(service: string, port: number, localAddress: string, deadline: Deadline): Promise<Conduit>;
  /** As `stream`; `refused` is told when nobody takes datagrams there after all. */
  datagrams(
    service: string,
    port: number,
    localAddress: string,
    deadline: Deadline,
    refused: () => void,
  ): Promise<DatagramConduit>;
  /** Called when what listens has changed. */
  onChange(listener: () => void): void;
}
