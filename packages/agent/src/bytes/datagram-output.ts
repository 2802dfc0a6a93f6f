/** The sending half of a bound UDP socket. What the kernel does not take soon is dropped, as on any full path. Datagrams are lent: what may wait is copied. */
export interface DatagramOutput {
  /** Sends to where the socket is connected. */
  sendConnected(datagram: Buffer): void;
  /** Sends to a literal address. */
  send(datagram: Buffer, port: number, address: string): void;
}

/** Told of a datagram that was not sent: for want of room, or with the system's error. */
export type DatagramDropped = (cause: Error | undefined) => void;
