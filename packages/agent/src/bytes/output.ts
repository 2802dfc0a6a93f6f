/** The sending half of a UDP socket, and what a socket may keep of what it is given. */

/** The sending half of a bound UDP socket. What the kernel does not take soon is dropped, as on any full path. Datagrams are lent: what may wait is copied. */
export interface DatagramOutput {
  /** Sends to where the socket is connected. */
  sendConnected(datagram: Buffer): void;
  /** Sends to a literal address. */
  send(datagram: Buffer, port: number, address: string): void;
}

/** Told of a datagram that was not sent: for want of room, or with the system's error. */
export type DatagramDropped = (cause: Error | undefined) => void;

/**
 * A piece to keep: one that is less than half of its memory would keep more alive than the bounds count. Of Node's own pool a
 * copy would lie in the pool again.
 */
export function compact(piece: Buffer): Buffer {
  const { byteLength } = piece.buffer;
  return byteLength <= Buffer.poolSize || piece.length * 2 >= byteLength ? piece : Buffer.from(piece);
}
