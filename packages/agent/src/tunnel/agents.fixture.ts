/** Agents on loopback that know each other: the tunnel layer as it is, and the smallest inbound side. */

import { createHash, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { keyPairFromSecret } from '../protocol/noise/keys.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { OpenRequest } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';
import { type BoundTunnels, type CreateTunnelsOptions, createTunnels } from './create.ts';
import type { Inbound } from './types.ts';

export interface TestAgent {
  readonly id: string;
  readonly tunnels: BoundTunnels;
  readonly peer: TunnelPeer;
  readonly secretKey: Buffer;
  /** What happens to streams and flows of peers; echo at first. */
  stream: (inbound: Inbound<Conduit>) => void;
  datagrams: (inbound: Inbound<DatagramConduit>) => void;
  /** Log lines, parsed. */
  readonly log: Readonly<Record<string, unknown> & { event?: string; reason?: string; msg?: string }>[];
}

export class TestNetwork {
  readonly psk: Buffer = randomBytes(32);
  readonly lifetime: AbortController = new AbortController();
  /** By id; a test may replace or delete entries and then call recheckPeers. */
  readonly peers: Map<string, TunnelPeer> = new Map();
  left: boolean = false;

  async agent(id: string, options: Partial<CreateTunnelsOptions> = {}): Promise<TestAgent> {
    const secretKey = randomBytes(32);
    const log: TestAgent['log'] = [];
    const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(JSON.parse(line)) });
    const handlers = { stream: echoStream, datagrams: echoDatagrams };
    const network = this;
    const tunnels = await createTunnels({
      listen: { host: '127.0.0.1', port: 0 },
      keys: { secretKey },
      network: 'test',
      directory: {
        get left() {
          return network.left;
        },
        peerById: (peerId) => this.peers.get(peerId),
        peerByKey: (key) => [...this.peers.values()].find((peer) => Buffer.compare(peer.tunnelKey, key) === 0),
      },
      inbound: {
        stream: (inbound) => agent.stream(inbound),
        datagrams: (inbound) => agent.datagrams(inbound),
      },
      logger,
      signal: this.lifetime.signal,
      ...options,
    });
    const peer: TunnelPeer = {
      agentId: id,
      host: `host-${id}`,
      tunnelKey: keyPairFromSecret(secretKey).publicKey,
      psk: this.psk,
      endpoints: [`127.0.0.1:${tunnels.port}`],
    };
    this.peers.set(id, peer);
    const agent: TestAgent = { id, tunnels, peer, secretKey, log, ...handlers };
    return agent;
  }

  /** Where `id` is dialled from now on, such as a relay. */
  moveTo(id: string, endpoints: readonly string[]): void {
    const peer = this.peers.get(id);
    if (peer !== undefined) this.peers.set(id, { ...peer, endpoints });
  }

  close(): void {
    this.lifetime.abort();
  }
}

export function openRequest(protocol: 'tcp' | 'udp' = 'tcp'): OpenRequest {
  return {
    flowId: randomBytes(8).toString('hex'),
    protocol,
    service: 'redis',
    ordinal: 0,
    port: 6379,
    source: { type: 'service', name: 'web' },
  };
}

export async function openStream(from: TestAgent, to: string): Promise<Conduit> {
  const opened = await from.tunnels.openStream(...forged(to, openRequest()), new Deadline(10_000));
  if (!opened.opened) throw new Error(`refused: ${opened.refusal.code}`);
  return opened.conduit;
}

export function echoStream(inbound: Inbound<Conduit>): void {
  echo(inbound.accept());
}

/** Sends back what comes, with backpressure, and ends when it ends. */
export function echo(conduit: Conduit): void {
  conduit.attach({
    data: (piece, owned) => {
      if (!conduit.write(piece, owned)) conduit.pause();
    },
    drain: () => conduit.resume(),
    end: () => conduit.end(),
    closed: () => undefined,
  });
}

export function echoDatagrams(inbound: Inbound<DatagramConduit>): void {
  const conduit = inbound.accept();
  conduit.attach({ datagram: (payload) => conduit.send(payload), closed: () => undefined });
}

export interface Outcome {
  readonly how: 'closed' | 'reset';
  readonly cause: Error | undefined;
  readonly bytes: number;
  /** SHA-256 of what was received. */
  readonly digest: string;
}

/** Reads to the end; `end` half-closes in return. */
export function collect(conduit: Conduit, options: { readonly endWithPeer?: boolean } = {}): Promise<Outcome> {
  const hash = createHash('sha256');
  let bytes = 0;
  return new Promise((resolve) => {
    conduit.attach({
      data: (piece) => {
        bytes += piece.length;
        hash.update(piece);
      },
      drain: () => undefined,
      end: () => {
        if (options.endWithPeer === true) conduit.end();
      },
      closed: (how, cause) => resolve({ how, cause, bytes, digest: hash.digest('hex') }),
    });
  });
}

/** Writes the blocks with backpressure, ends, and reads what comes meanwhile. */
export function exchange(conduit: Conduit, blocks: Iterable<Buffer>): Promise<Outcome> {
  const iterator = blocks[Symbol.iterator]();
  const hash = createHash('sha256');
  let bytes = 0;
  return new Promise((resolve) => {
    const pump = (): void => {
      for (;;) {
        const next = iterator.next();
        if (next.done === true) {
          conduit.end();
          return;
        }
        if (!conduit.write(next.value, true)) return;
      }
    };
    conduit.attach({
      data: (piece) => {
        bytes += piece.length;
        hash.update(piece);
      },
      drain: pump,
      end: () => undefined,
      closed: (how, cause) => resolve({ how, cause, bytes, digest: hash.digest('hex') }),
    });
    pump();
  });
}

export { until } from '../until.fixture.ts';
