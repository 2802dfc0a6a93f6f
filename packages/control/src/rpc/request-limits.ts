/**
 * What a caller may send, decided at the five bytes before each message, so that nothing of what is refused is gathered,
 * unpacked or looked into. grpc-js has one limit for all methods, and unpacks compressed messages for anyone; so the prefixes
 * are read here before grpc-js sees them (gRPC over HTTP/2, "Length-Prefixed-Message": one byte that says whether the message
 * is compressed, four of its length, big endian).
 */
import type { ServerHttp2Stream } from 'node:http2';
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { addressGroup } from '@weft/proto/bounds';
import { agentService, MOST_JOIN_BYTES, MOST_REQUEST_BYTES } from '@weft/proto/wire';
import { ByteBudget } from '../bounds/budget.ts';
import { observedHost } from '../bounds/observed.ts';
import { cutCall, type ProvedCalls, refuseCall, streamOf } from './call-stream.ts';
import { ADMIN_PREFIX } from './roles.ts';

/** Bytes of one message, by who sends it. */
export const REQUEST_BYTES = {
  /** With the admin or read token, which is asked for at the headers: room for the largest mesh that is valid. */
  admin: MOST_REQUEST_BYTES,
  /** An agent that has proved who it is: room for its inventory. */
  agent: MOST_REQUEST_BYTES,
  /** Before that: who it is, and its signature. */
  hello: 4 * 1024,
  join: MOST_JOIN_BYTES,
  /** Health, reflection, and whatever else answers anyone. */
  anyone: 4 * 1024,
} as const;

/** Bytes that have come of messages under way of callers who have proved nothing: of all, and of one IPv4 address or IPv6 /64. */
export const UNPROVED_BYTES = { all: 8 * 1024 * 1024, ofOne: 1024 * 1024 } as const;

const PREFIX_BYTES = 5;

/** To stand before adminAuth. */
export function requestLimits(
  proved: ProvedCalls,
  budget = new ByteBudget(UNPROVED_BYTES.all, UNPROVED_BYTES.ofOne),
): ServerInterceptor {
  const halfSent = { budget, waiting: new Set<() => void>() };
  return ({ path }, call) => {
    const stream = streamOf(call);
    if (stream === undefined) return new ServerInterceptingCall(call);
    watch(path, call, stream, proved, halfSent);
    let whole = false;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveHalfClose: (proceed) => {
            whole = true;
            proceed();
          },
          // It has its status, of us or of a deadline that it brought along, and does not end its half: what is half sent would be held.
          onCancel: () => {
            if (!whole && !proved.has(stream)) setImmediate(() => cutCall(call));
          },
        }),
    });
  };
}

/** What strangers have half sent. */
interface HalfSent {
  readonly budget: ByteBudget;
  /** Each ends one of them; the one that has waited the longest is the first. */
  readonly waiting: Set<() => void>;
}

function watch(
  path: string,
  call: ServerInterceptingCallInterface,
  stream: ServerHttp2Stream,
  proved: ProvedCalls,
  { budget, waiting }: HalfSent,
): void {
  const admin = path.startsWith(ADMIN_PREFIX);
  const who = addressGroup(observedHost(call.getPeer()) || 'unknown');
  /** Bytes of the prefix that have come, and of the message that are to come. */
  let prefix = 0;
  let length = 0;
  let left = 0;
  /** Of the budget. */
  let held = 0;
  let counted: boolean = false;
  let refused = false;
  const release = (): void => {
    if (held > 0) budget.giveBack(who, held);
    held = 0;
    waiting.delete(makeRoom);
  };
  const refuse = (code: status, reason: string, details: string): void => {
    refused = true;
    release();
    refuseCall(call, code, reason, details);
  };
  const tooMany = 'too many requests are half sent; try again later';
  const makeRoom = (): void => refuse(status.RESOURCE_EXHAUSTED, 'half-sent', tooMany);
  const begin = (): void => {
    const isProved = admin || proved.has(stream);
    const most = admin ? REQUEST_BYTES.admin : bytesOf(path, isProved);
    if (length > most) {
      refuse(
        status.RESOURCE_EXHAUSTED,
        'message-too-large',
        `a message of ${length} bytes, and at most ${most} are taken here`,
      );
    }
    counted = !isProved;
    left = length;
  };
  /** Counted as they come: what is only announced takes no memory, and announcements must not shut out who sends. */
  const hold = (bytes: number): void => {
    if (!budget.overShare(who, bytes)) {
      for (const oldest of waiting) {
        if (!budget.crowded(bytes)) break;
        oldest();
      }
    }
    if (refused) return;
    if (!budget.take(who, bytes)) {
      makeRoom();
      return;
    }
    held += bytes;
    waiting.add(makeRoom);
  };
  stream.once('close', release);
  stream.prependListener('data', (piece: Buffer) => {
    for (let at = 0; at < piece.length && !refused; ) {
      if (left > 0) {
        const taken = Math.min(left, piece.length - at);
        at += taken;
        left -= taken;
        if (counted) hold(taken);
      } else {
        const byte = piece[at] ?? 0;
        at += 1;
        if (prefix === 0 && byte !== 0) {
          refuse(
            status.UNIMPLEMENTED,
            'compressed-message',
            'compressed messages are not taken; send them as they are (grpc-encoding: identity)',
          );
          return;
        }
        length = prefix === 0 ? 0 : length * 256 + byte;
        prefix += 1;
        if (prefix < PREFIX_BYTES) continue;
        prefix = 0;
        begin();
      }
      if (left === 0 && prefix === 0) release();
    }
  });
}

function bytesOf(path: string, isProved: boolean): number {
  if (path === agentService.join.path) return REQUEST_BYTES.join;
  if (path === agentService.connect.path) return isProved ? REQUEST_BYTES.agent : REQUEST_BYTES.hello;
  return REQUEST_BYTES.anyone;
}
