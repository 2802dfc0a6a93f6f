/** An enrolled host gone bad: Weft's own tunnels with the host's own keys, and none of Weft's manners. */

import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { Deadline } from '../../packages/agent/src/bytes/deadline.ts';
import { loadIdentity } from '../../packages/agent/src/member/identity.ts';
import { loadNetmap } from '../../packages/agent/src/member/persist.ts';
import { createTunnels } from '../../packages/agent/src/tunnel/create.ts';
import type { OpenRequest, PeerRefusal } from '../../packages/agent/src/words/opening.ts';
import type { TunnelPeer } from '../../packages/agent/src/words/peer.ts';
import { forged } from '../../packages/agent/testing/forged.ts';

export interface ForgedRequest extends Omit<OpenRequest, 'flowId'> {
  /** Instead of a peer that control told of: where it is, and its public key in hexadecimal. */
  readonly stranger?: { readonly endpoint: string; readonly tunnelKey: string };
}

export type ForgedAnswer =
  | { readonly opened: true }
  | { readonly opened: false; readonly refusal: PeerRefusal }
  | { readonly error: string };

export interface Attacker {
  /** Asks for a stream or for datagrams, as the request's protocol says. */
  open(peerHost: string, request: ForgedRequest): Promise<ForgedAnswer>;
  close(): Promise<void>;
}

/** Takes over what an agent keeps in its folder. */
export async function loadAttackerTunnels(dataDir: string): Promise<Attacker> {
  const logger = pino({ level: 'silent' });
  const identity = await loadIdentity(dataDir);
  const membership = identity?.membership;
  if (identity === undefined || membership === undefined) throw new Error(`${dataDir} has no membership`);
  const kept = await loadNetmap(dataDir, membership.agentId, logger);
  const peers = new Map<string, TunnelPeer>();
  for (const item of kept?.items ?? []) if (item.type === 'peer') peers.set(item.agentId, item);
  const tunnels = await createTunnels({
    listen: { host: '0.0.0.0', port: 0 },
    keys: { secretKey: identity.keys.tunnel.secretKey },
    directory: {
      peerById: (agentId) => peers.get(agentId),
      peerByKey: (key) => [...peers.values()].find((peer) => Buffer.from(peer.tunnelKey).equals(key)),
    },
    inbound: {
      stream: (inbound) => inbound.refuse({ code: 'denied', rule: '', revision: 0, detail: '' }),
      datagrams: (inbound) => inbound.refuse({ code: 'denied', rule: '', revision: 0, detail: '' }),
    },
    network: membership.network,
    logger,
    signal: new AbortController().signal,
  });
  return {
    async open(peerHost, { stranger, ...request }) {
      let peer = [...peers.values()].find((one) => one.host === peerHost);
      if (stranger !== undefined) {
        const tunnelKey = Buffer.from(stranger.tunnelKey, 'hex');
        peer = { agentId: 'stranger', host: peerHost, tunnelKey, psk: randomBytes(32), endpoints: [stranger.endpoint] };
        peers.set(peer.agentId, peer);
      }
      if (peer === undefined) return { error: `no peer ${peerHost}` };
      try {
        const asked = { flowId: randomBytes(8).toString('hex'), ...request };
        const deadline = new Deadline(8_000);
        const answer =
          asked.protocol === 'udp'
            ? await tunnels.openDatagrams(...forged(peer.agentId, asked), deadline)
            : await tunnels.openStream(...forged(peer.agentId, asked), deadline);
        return answer.opened ? { opened: true } : answer;
      } catch (error) {
        return { error: String(error) };
      }
    },
    close: () => tunnels.close(),
  };
}
