/** One question to one resolver, over UDP or TCP. Each has a socket of its own, so a random port, and a random id. */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { frameMessage, MessageReader } from './framing.ts';
import { Flag, HEADER_LENGTH } from './message.ts';
import type { Upstream } from './upstreams.ts';

export interface AskEvents {
  /** The one answer that matches the question. No event comes after it. */
  answer(message: Buffer): void;
  /** Something came that is no answer to the question: rubbish, a stray or a forgery. */
  strange(): void;
  /** No answer will come. No event comes after it. */
  failed(cause: Error): void;
}

/** Stops the asking and closes its socket; no event comes after. */
export type CancelAsk = () => void;

/** `question` is the question section that the answer must repeat. */
export function askUdp(upstream: Upstream, packet: Buffer, question: Buffer, events: AskEvents): CancelAsk {
  const sent = withRandomId(packet);
  const socket = dgram.createSocket(isIPv6(upstream.host.replace(/%.*$/, '')) ? 'udp6' : 'udp4');
  let over = false;
  const finish = (): boolean => {
    if (over) return false;
    over = true;
    socket.close();
    return true;
  };
  // Connected, so that the kernel drops what comes from elsewhere, and tells when nobody listens there (ECONNREFUSED).
  socket.on('error', (cause) => finish() && events.failed(cause));
  socket.on('message', (message) => {
    // Anything else on this port is a forgery or a stray: the true answer may still come.
    if (!isAnswerTo(sent, question, message)) events.strange();
    else if (finish()) events.answer(message);
  });
  // Node's type does not tell that what goes wrong, such as that there is no route, is its argument, and no event.
  socket.connect(upstream.port, upstream.host, (unconnected?: unknown) => {
    if (over) return;
    if (unconnected instanceof Error) {
      finish();
      events.failed(unconnected);
    } else socket.send(sent, (cause) => cause && finish() && events.failed(cause));
  });
  return () => void finish();
}

export function askTcp(upstream: Upstream, packet: Buffer, question: Buffer, events: AskEvents): CancelAsk {
  const sent = withRandomId(packet);
  const socket = connect({ host: upstream.host, port: upstream.port });
  let over = false;
  const finish = (): boolean => {
    if (over) return false;
    over = true;
    socket.destroy();
    return true;
  };
  const reader = new MessageReader((message) => {
    if (!isAnswerTo(sent, question, message)) events.strange();
    else if (finish()) events.answer(message);
  });
  socket.on('error', (cause) => finish() && events.failed(cause));
  socket.on('close', () => finish() && events.failed(new Error('the resolver closed the connection')));
  socket.on('data', (bytes) => reader.push(bytes));
  socket.write(frameMessage(sent));
  return () => void finish();
}

function withRandomId(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(randomInt(0x10000), 0);
  return copy;
}

/**
 * Id, direction and question must match. Case apart: some resolvers answer in lower case. An error may come without the
 * question, from a resolver that did not understand it.
 */
function isAnswerTo(sent: Buffer, question: Buffer, message: Buffer): boolean {
  if (message.length < HEADER_LENGTH || message.readUInt16BE(0) !== sent.readUInt16BE(0)) return false;
  const flags = message.readUInt16BE(2);
  if ((flags & Flag.QR) === 0 || (flags & Flag.OPCODE) !== 0) return false;
  const count = message.readUInt16BE(4);
  if (count === 0) return (flags & Flag.RCODE) !== 0 && message.length === HEADER_LENGTH;
  const repeated = message.subarray(HEADER_LENGTH, HEADER_LENGTH + question.length);
  return count === 1 && repeated.toString('latin1').toLowerCase() === question.toString('latin1').toLowerCase();
}
