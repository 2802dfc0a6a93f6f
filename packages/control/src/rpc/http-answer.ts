/** What a call over HTTP is answered, in the Connect protocol's form (connectrpc.com/docs/protocol). */
import type { ServerResponse } from 'node:http';
import { type StatusObject, status } from '@grpc/grpc-js';
import { statusDetails } from '@weft/proto/wire';
import { unwritten } from './calls.ts';
import { PREFIX_BYTES } from './http-request.ts';

type JsonDetail = typeof import('@weft/proto/json').jsonDetail;

/** Those that are not here are 500. */
const HTTP: Readonly<Partial<Record<status, number>>> = {
  [status.CANCELLED]: 499,
  [status.INVALID_ARGUMENT]: 400,
  [status.DEADLINE_EXCEEDED]: 504,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.PERMISSION_DENIED]: 403,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.FAILED_PRECONDITION]: 400,
  [status.ABORTED]: 409,
  [status.OUT_OF_RANGE]: 400,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
  [status.UNAUTHENTICATED]: 401,
};

/** Flags of the envelope that ends a stream. */
const END = 2;
/** A stream of which nothing is taken for so long is over; in one that has nothing to say, nothing moves for longer. */
const STUCK_MS = 60_000;

export interface HttpAnswer {
  /** Says the first that there is to say, where an answer comes in parts. */
  begin(): void;
  /** A part. Resolves when there is room for another; rejects with the signal's reason. */
  write(text: string, signal: AbortSignal): Promise<void>;
  end(text: string): void;
  fail(answer: StatusObject, http: number | undefined, jsonDetail: JsonDetail): void;
}

/** A call may take longer than a connection may ask nothing: only a reader that takes nothing ends it. */
function waitForReader(response: ServerResponse): void {
  response.setTimeout(STUCK_MS, () => {
    if (response.writableNeedDrain) response.destroy();
  });
}

export function singleAnswer(response: ServerResponse): HttpAnswer {
  waitForReader(response);
  const send = (code: number, text: string): void => {
    response.writeHead(code, { 'content-type': 'application/json' }).end(text);
  };
  return {
    begin: () => undefined,
    write: unwritten,
    end: (text) => send(200, text),
    fail: (answer, http, jsonDetail) =>
      send(http ?? HTTP[answer.code] ?? 500, JSON.stringify(connectError(answer, jsonDetail))),
  };
}

export function streamAnswer(response: ServerResponse): HttpAnswer {
  const begin = (): void => {
    if (response.headersSent) return;
    waitForReader(response);
    response.socket?.setKeepAlive(true, STUCK_MS);
    // A proxy that gathers answers before it passes them on would hold messages back.
    response.writeHead(200, { 'content-type': 'application/connect+json', 'x-accel-buffering': 'no' }).flushHeaders();
  };
  return {
    begin,
    write: (text, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        else if (response.write(enveloped(0, text))) resolve();
        else {
          const settle = (): void => {
            response.off('drain', settle);
            signal.removeEventListener('abort', settle);
            if (signal.aborted) reject(signal.reason);
            else resolve();
          };
          response.once('drain', settle);
          signal.addEventListener('abort', settle, { once: true });
        }
      }),
    end: () => void response.end(enveloped(END, '{}')),
    fail: (answer, http, jsonDetail) => {
      if (http !== undefined) {
        singleAnswer(response).fail(answer, http, jsonDetail);
        return;
      }
      // The status of HTTP is that of the first part; what became of the call stands in the last.
      begin();
      response.end(enveloped(END, JSON.stringify({ error: connectError(answer, jsonDetail) })));
    },
  };
}

function enveloped(flags: number, text: string): Buffer {
  const length = Buffer.byteLength(text);
  const envelope = Buffer.allocUnsafe(PREFIX_BYTES + length);
  envelope[0] = flags;
  envelope.writeUInt32BE(length, 1);
  envelope.write(text, PREFIX_BYTES);
  return envelope;
}

function connectError(answer: StatusObject, jsonDetail: JsonDetail): object {
  const { code, details: message } = answer;
  return {
    // Spelt with one l there.
    code: code === status.CANCELLED ? 'canceled' : (status[code] ?? 'UNKNOWN').toLowerCase(),
    message,
    details: statusDetails(answer).map(({ type, value }) => {
      const bytes = Buffer.from(value);
      return { type, value: bytes.toString('base64').replace(/=+$/, ''), debug: jsonDetail(type, bytes) };
    }),
  };
}
