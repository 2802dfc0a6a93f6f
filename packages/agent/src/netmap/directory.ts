/** The netmap as tunnels may see it: who a peer is, and nothing of what it may do. */

import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { PeerDirectory, TunnelPeer } from '../words/peer.ts';

/** Asks the newest netmap each time. Keys are looked up in a map made once for each set of peers. */
export function createPeerDirectory(source: Pick<NetmapSource, 'current'>): PeerDirectory {
  const byKey = new WeakMap<Netmap['peers'], ReadonlyMap<string, TunnelPeer>>();
  return {
    peerById: (agentId) => source.current.peers.get(agentId),
    peerByKey: (tunnelKey) => {
      const { peers } = source.current;
      let known = byKey.get(peers);
      if (known === undefined) {
        known = new Map(Array.from(peers.values(), (peer) => [textOf(peer.tunnelKey), peer]));
        byKey.set(peers, known);
      }
      return known.get(textOf(tunnelKey));
    },
  };
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('base64');
}
