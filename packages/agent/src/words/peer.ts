/** Another agent as the tunnel layer needs it. */
export interface TunnelPeer {
  readonly agentId: string;
  readonly host: string;
  /** X25519 public key, 32 bytes. */
  readonly tunnelKey: Uint8Array;
  /** Pre-shared key of the pair, 32 bytes. */
  readonly psk: Uint8Array;
  /** HOST:PORT, in the order to try. */
  readonly endpoints: readonly string[];
}

/** The live netmap, as far as tunnels may see it. Asked at each handshake, so that a revoked peer is refused. */
export interface PeerDirectory {
  peerById(agentId: string): TunnelPeer | undefined;
  peerByKey(tunnelKey: Uint8Array): TunnelPeer | undefined;
  /** This host itself is no member any more, and so knows of no peer. */
  readonly left?: boolean;
}
