/** Programs of this host that are shut in, as calls to their services get to them: a place of their own, not this host's loopback. */
import type { Protocol } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';

export interface Inside {
  /** Whether one of them listens at the service's declared port. */
  listens(service: string, port: number, protocol: Protocol): boolean;
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
