/** What a call over HTTP says before it is served: its headers, and a body that is bounded. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { status } from '@grpc/grpc-js';
import { REQUEST_BYTES } from './request-limits.ts';
import { READ_PATHS } from './roles.ts';
import { refusedCall } from './status.ts';

const JSON_TYPE = 'application/json';
const STREAM_TYPE = 'application/connect+json';
/** One byte of flags and four of the length, big endian. */
export const PREFIX_BYTES = 5;
const COMPRESSED = 1;
/** As many digits as the protocol has. */
const LONGEST_TIMEOUT = /^\d{1,10}$/;
const strict = new TextDecoder('utf-8', { fatal: true });

/** Milliseconds that the caller waits; undefined when it did not say. Throws CallRefused for headers that are not served. */
export function readHeaders(headers: IncomingHttpHeaders, stream: boolean): number | undefined {
  const expected = stream ? STREAM_TYPE : JSON_TYPE;
  const type = (headers['content-type'] ?? '').toLowerCase().replaceAll(' ', '');
  if (type !== expected && type !== `${expected};charset=utf-8`) {
    throw refusedCall(status.INVALID_ARGUMENT, 'content-type', `this call takes Content-Type: ${expected}`, 415);
  }
  const encoding = headers[stream ? 'connect-content-encoding' : 'content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw compressed();
  const version = headers['connect-protocol-version'] ?? '1';
  if (version !== '1') {
    throw refusedCall(status.INVALID_ARGUMENT, 'protocol-version', 'Connect-Protocol-Version: expected 1');
  }
  const timeout = headers['connect-timeout-ms'];
  if (timeout === undefined) return undefined;
  if (typeof timeout !== 'string' || !LONGEST_TIMEOUT.test(timeout)) {
    throw refusedCall(status.INVALID_ARGUMENT, 'timeout', 'Connect-Timeout-Ms: expected 1 to 10 digits');
  }
  return Number(timeout);
}

/** Of a call that only looks: JSON costs more to read than it does to send, and who may only look must not wear control out. */
const LOOK_BYTES = 64 * 1024;

/** The message of a request to the path. Throws CallRefused; rejects otherwise when the caller goes away. */
export async function readMessage(request: IncomingMessage, path: string, stream: boolean): Promise<string> {
  const most = READ_PATHS.has(path) ? LOOK_BYTES : REQUEST_BYTES.admin;
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > most) throw tooLarge(most);
  const pieces: Buffer[] = [];
  let bytes = 0;
  // What is left of one that is refused is read away, and not kept: a connection that is cut could lose the answer.
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > most) throw tooLarge(most);
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces);
  return decode(stream ? opened(body) : body);
}

/** A stream of the server's has one message in front. */
function opened(body: Buffer): Buffer {
  const flags = body[0] ?? 0;
  if ((flags & COMPRESSED) !== 0) throw compressed();
  if (flags !== 0 || body.length < PREFIX_BYTES || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) {
    throw refusedCall(
      status.INVALID_ARGUMENT,
      'envelope',
      'expected one enveloped message: 0, four bytes of length, JSON',
    );
  }
  return body.subarray(PREFIX_BYTES);
}

function decode(body: Buffer): string {
  try {
    return strict.decode(body);
  } catch {
    throw refusedCall(status.INVALID_ARGUMENT, 'not-utf-8', 'the body is not UTF-8');
  }
}

function compressed() {
  return refusedCall(
    status.UNIMPLEMENTED,
    'compressed-message',
    'compressed messages are not taken; send them as they are',
  );
}

function tooLarge(most: number) {
  const details = `a message of more than ${most} bytes, which is the most that is taken here`;
  return refusedCall(status.RESOURCE_EXHAUSTED, 'message-too-large', details);
}
