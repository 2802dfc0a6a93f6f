/**
 * Makes a connection with keys to a peer. Its endpoints are tried in their order, each a little after the one before or
 * as soon as that failed, side by side; the first finished handshake wins (RFC 8305, with the handshake as the test).
 */
import { isShortage } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import { systemWords } from '../bytes/system-words.ts';
import { GREATEST_PACKET_LIMIT } from '../protocol/datagram/format.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TunnelContext } from './context.ts';
import type { DatagramAddress } from './datagram-port.ts';
import { parseEndpoint } from './endpoints.ts';
import { UnreachableError } from './errors.ts';
import { type Established, initiate, NO_DATAGRAMS } from './handshake.ts';

/** A peer may name this many endpoints; more are not tried. */
const ENDPOINT_LIMIT = 16;

export interface Dialled {
  readonly established: Established;
  /** What answered: packets are tried there, too. */
  readonly address: DatagramAddress;
}

/** Throws UnreachableError, with the endpoints' errors as its cause. The deadline is this dial's own, and over with it. */
export async function dialPeer(context: TunnelContext, peer: TunnelPeer, deadline: Deadline): Promise<Dialled> {
  const endpoints = peer.endpoints.slice(0, ENDPOINT_LIMIT);
  if (endpoints.length === 0) throw new UnreachableError('no-endpoint', `${peer.host} has no address to dial`);
  const outcomes = new Map(endpoints.map((endpoint) => [endpoint, 'not tried']));
  try {
    const attempts: Promise<Dialled>[] = [];
    for (const endpoint of endpoints) {
      const attempt = dialEndpoint(context, peer, endpoint, deadline);
      attempt.catch((cause: unknown) => outcomes.set(endpoint, systemWords(cause)));
      attempts.push(attempt);
      if (await settledWithin(Promise.any(attempts), attempt, context.settings.stagger)) break;
    }
    const winner = await Promise.any(attempts);
    for (const attempt of attempts) dropUnless(winner, attempt);
    return winner;
  } catch (cause) {
    const givenUp = deadline.over && !deadline.late;
    if (givenUp) throw new UnreachableError('closed', `the dial to ${peer.host} was given up`, { cause });
    context.counters.handshakesFailed += 1;
    if (isShortage(cause)) {
      context.files?.ranOut();
      throw new UnreachableError('no-file', `this agent has no file left for a tunnel to ${peer.host}`, { cause });
    }
    throw new UnreachableError(
      deadline.late ? 'timeout' : 'connect-failed',
      `no tunnel to ${peer.host}: tried ${[...outcomes].map(([endpoint, outcome]) => `${endpoint} (${outcome})`).join(', ')}`,
      { cause },
    );
  } finally {
    // Attempts that lost the race end here.
    deadline.end(new UnreachableError('connect-failed', 'another endpoint answered first'));
  }
}

/** Two may have finished in one breath; the one not taken would stay open. */
function dropUnless(winner: Dialled, attempt: Promise<Dialled>): void {
  attempt.then(
    (dialled) => {
      if (dialled !== winner) dialled.established.wire.conduit.reset();
    },
    () => undefined,
  );
}

async function dialEndpoint(
  context: TunnelContext,
  peer: TunnelPeer,
  text: string,
  deadline: Deadline,
): Promise<Dialled> {
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw new UnreachableError('no-endpoint', `${text} is no HOST:PORT`);
  const { conduit, remote } = await context.connect(endpoint, deadline);
  const index = context.datagrams?.newIndex();
  const ownOffer = index === undefined ? NO_DATAGRAMS : { index, packetLimit: GREATEST_PACKET_LIMIT };
  const established = await initiate(context, conduit, peer, ownOffer, deadline);
  return { established, address: remote };
}

/** Waits until any attempt succeeded (true), the newest failed, or the stagger is over. */
function settledWithin(any: Promise<unknown>, newest: Promise<unknown>, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), milliseconds);
    const settle = (won: boolean): void => {
      clearTimeout(timer);
      resolve(won);
    };
    any.then(
      () => settle(true),
      () => settle(false),
    );
    newest.then(
      () => settle(true),
      () => settle(false),
    );
  });
}
