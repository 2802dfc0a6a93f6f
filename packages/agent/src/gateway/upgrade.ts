/** An upgraded connection: WebSocket, or whatever client and service agree on. Bytes pass as they are. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { resetSocket } from '../bytes/net-transport.ts';
import { blame, type Carriage, onCutShort, openRequest } from './carry.ts';
import { part } from './client.ts';
import { IngressError, isGarbled, isHangUp } from './errors.ts';
import { fieldValues, isPlain, readFraming, requestFields, responseFields } from './fields.ts';
import { failureStatus, rawHead } from './refusal.ts';

export interface Upgrade extends Omit<Carriage, 'response' | 'bodyBegins'> {
  readonly socket: Socket;
  /** A refusal that pauses for so long is given up. */
  readonly idleMs: number;
  /** What the client sent after its request. */
  readonly head: Buffer;
  /** The service agreed. */
  readonly upgraded: () => void;
}

/**
 * Whether a request with an Upgrade field is treated as one. Others are ordinary requests, and lose the field: a body
 * would be taken for the new protocol's first bytes; and h2c, which no client uses and RFC 9113 withdrew, would carry
 * requests past everything that is decided here on each.
 */
export function wantsUpgrade(request: IncomingMessage): boolean {
  const framing = readFraming(request);
  const empty = framing?.type === 'none' || (framing?.type === 'length' && Number(framing.bytes) === 0);
  const protocols = fieldValues(request.rawHeaders, 'upgrade').join(', ');
  return (
    request.method === 'GET' &&
    request.httpVersion === '1.1' &&
    empty &&
    !/(?:^|[\s,])h2c?(?:$|[\s,/])/i.test(protocols)
  );
}

export function carryUpgrade(upgrade: Upgrade): void {
  const { request, socket, admitted, agent, clientAddress } = upgrade;
  const protocols = fieldValues(request.rawHeaders, 'upgrade').join(', ');
  const framing = { type: 'none' } as const;
  const fields = requestFields(request, { ...admitted, framing, clientAddress, upgrade: protocols });
  const upstream = openRequest(agent, request, admitted, fields);
  let settled = false;
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    socket.setTimeout(0).off('timeout', timedOut);
    return true;
  };
  const fail = (cause: unknown): void => {
    if (!settle()) return;
    if (isHangUp(cause)) upstream.destroy(new IngressError('hung-up', { cause }));
    else if (isGarbled(cause)) blame(upstream, cause);
    upgrade.failed(failureStatus(cause), cause);
  };
  const timedOut = (): void => {
    upstream.destroy(new IngressError('unanswered'));
  };

  socket.setTimeout(admitted.route.responseMs ?? upgrade.responseMs).on('timeout', timedOut);
  socket.on('close', () => {
    if (settle()) upstream.destroy();
  });
  upstream.on('error', (cause) => fail(cause));
  upstream.on('close', () => fail(new Error('the service sent no response')));
  upstream.on('upgrade', (incoming, far, farHead) => {
    if (!settle()) {
      far.destroy();
      return;
    }
    upgrade.upgraded();
    socket.write(switchingProtocols(incoming), 'latin1');
    if (farHead.length > 0) socket.write(farHead);
    if (upgrade.head.length > 0) far.write(upgrade.head);
    splice(socket, far);
  });
  upstream.on('response', (incoming) => {
    if (!isPlain(incoming, upgrade.request.method)) {
      const cause = new IngressError('coded');
      fail(cause);
      upstream.destroy(cause);
    } else if (settle()) relayDecline(incoming, socket, upgrade.idleMs);
    else incoming.destroy();
  });
  upstream.end();
}

/** The service's 101 for the client. */
function switchingProtocols(incoming: IncomingMessage): string {
  const protocols = fieldValues(incoming.rawHeaders, 'upgrade').join(', ');
  const fields = ['Connection', 'Upgrade', ...(protocols === '' ? [] : ['Upgrade', protocols])];
  return rawHead(101, incoming.statusMessage, [...fields, ...responseFields(incoming, false)]);
}

/**
 * The service will not upgrade. Its answer is the last on this connection, and ends with it: what the client sent after
 * its request is in a protocol that nobody speaks.
 */
function relayDecline(incoming: IncomingMessage, socket: Socket, idleMs: number): void {
  const cut = (): void => resetSocket(socket);
  socket.setTimeout(idleMs).on('timeout', cut);
  const fields = ['Connection', 'close', ...responseFields(incoming, false)];
  socket.write(rawHead(incoming.statusCode ?? 502, incoming.statusMessage, fields), 'latin1');
  incoming.pipe(socket, { end: false });
  incoming.on('end', () => part(socket));
  onCutShort(incoming, cut);
  socket.on('close', () => incoming.destroy());
}

/** Both ways until both are done. Half-close passes; anything but an orderly end of one side resets the other at once. */
function splice(near: Socket, far: Duplex): void {
  const bind = (from: Duplex, to: Duplex, cut: () => void): void => {
    from.pipe(to);
    from.on('error', cut);
    from.on('close', () => {
      if (!from.readableEnded || !from.writableFinished) cut();
    });
  };
  // One that is not ended in order is reset.
  bind(near, far, () => void far.destroy());
  bind(far, near, () => {
    if (!near.destroyed) resetSocket(near);
  });
}
