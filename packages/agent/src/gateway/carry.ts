/**
 * Carries one request to its service and the response back, as streams: no body is ever held whole, and who reads slowly
 * on one side slows the writer on the other.
 */
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { resetSocket } from '../bytes/net-transport.ts';
import type { Admitted } from './admission.ts';
import type { UpstreamAgent } from './client.ts';
import { ConduitDuplex } from './duplex.ts';
import { IngressError, isGarbled, isHangUp } from './errors.ts';
import { expectsContinue, isPlain, requestFields, responseFields, trailerFields } from './fields.ts';
import { failureStatus } from './refusal.ts';

/** A service's response headers may have this many bytes. */
const RESPONSE_HEADER_BYTES = 64 * 1024;
/** Methods that may be sent twice, RFC 9110 section 9.2.2. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

export interface Carriage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly admitted: Admitted;
  readonly agent: UpstreamAgent;
  readonly clientAddress: string;
  /** From the request sent whole to the answer's first byte, unless the service says otherwise. */
  readonly responseMs: number;
  /** The client has been told to go on with its body. */
  readonly bodyBegins: () => void;
  /** Nothing of a response has been sent; answer with this status instead. */
  readonly failed: (status: number, cause: unknown) => void;
}

/** Answers a function that gives the request up because nothing moves. */
export function carry(carriage: Carriage): () => void {
  let giveUp = attempt(carriage, () => {
    giveUp = attempt(carriage, undefined);
  });
  return () => giveUp();
}

/** `repeat` sends the same request once more, over another connection. */
function attempt(carriage: Carriage, repeat: (() => void) | undefined): () => void {
  const { request, response, admitted, clientAddress } = carriage;
  const fields = requestFields(request, { ...admitted, clientAddress });
  const upstream = openRequest(carriage.agent, request, admitted, fields);
  let settled = false;
  let cutShort = (): void => void response.destroy();
  let patience: NodeJS.Timeout | undefined;

  const answered = (): void => {
    clearTimeout(patience);
    patience = undefined;
  };
  const fail = (cause: unknown): void => {
    answered();
    if (settled) return;
    settled = true;
    response.off('close', abandon);
    if (response.destroyed) return;
    // The service closed an idle connection just as it was used again. It did nothing yet, or may do it twice.
    const stale = upstream.reusedSocket && !(cause instanceof IngressError) && admitted.framing.type === 'none';
    if (stale && repeat !== undefined && idempotent.has(request.method ?? '')) {
      repeat();
      return;
    }
    // For the record, before node closes the connection as one that has done its work.
    if (isHangUp(cause)) upstream.destroy(new IngressError('hung-up', { cause }));
    else if (isGarbled(cause)) blame(upstream, cause);
    carriage.failed(failureStatus(cause), cause);
  };
  const abandon = (): void => {
    if (!response.writableFinished) upstream.destroy();
  };

  response.on('close', abandon);
  upstream.on('error', fail);
  const wait = (): void => {
    if (settled || upstream.destroyed) return;
    answered();
    const waitMs = admitted.route.responseMs ?? carriage.responseMs;
    patience = setTimeout(() => upstream.destroy(new IngressError('unanswered')), waitMs);
  };
  // All of the request has left. A service that answered before is not waited for, however long the rest takes.
  upstream.on('finish', wait);
  // A hint is no answer: the time begins anew. 100 is said by the server's library, before the program has looked at anything, and lets
  // a body begin.
  upstream.on('information', ({ statusCode }) => {
    if (!upstream.writableFinished) answered();
    else if (statusCode !== 100) wait();
  });
  upstream.on('close', () => {
    // After an unasked 101, for one, node closes without an error.
    fail(new Error('the service sent no response'));
    // The rest of a body that nobody takes is read away, so that the next request can be found behind it.
    request.unpipe(upstream);
    request.resume();
  });
  relayInformation(upstream, carriage);
  upstream.on('response', (incoming) => {
    answered();
    if (settled) return;
    if (!isPlain(incoming, request.method)) {
      const cause = new IngressError('coded');
      fail(cause);
      upstream.destroy(cause);
      return;
    }
    try {
      cutShort = relayResponse(incoming, request, response);
      settled = true;
    } catch (error) {
      // A status line or a field that node will not repeat.
      fail(error);
      upstream.destroy();
    }
  });
  sendBody(request, upstream, admitted);
  if (admitted.framing.type !== 'none' && expectsContinue(request)) {
    // Until it hears 100 the client may send nothing more, and waits for the service as one that has said all.
    // One that sends all the same is timed by what it sends.
    let begun = false;
    request.once('data', () => {
      begun = true;
      answered();
    });
    upstream.once('socket', () => {
      if (!begun) wait();
    });
  }
  return () => {
    // The limit of that is another.
    if (patience !== undefined) return;
    if (response.headersSent) cutShort();
    else fail(new IngressError('timeout'));
    upstream.destroy();
  };
}

/** The answer was no HTTP: for the record. */
export function blame({ socket }: ClientRequest, cause: Error): void {
  if (socket instanceof ConduitDuplex) socket.blame(new IngressError('garbled', { cause }));
}

/** Begins a request to the service, over the client's own connection to it. */
export function openRequest(
  agent: UpstreamAgent,
  { method = '' }: IncomingMessage,
  { route, path }: Admitted,
  headers: string[],
): ClientRequest {
  return http.request({
    agent,
    host: route.service,
    port: route.port,
    method,
    path,
    headers,
    insecureHTTPParser: false,
    maxHeaderSize: RESPONSE_HEADER_BYTES,
  });
}

function sendBody(request: IncomingMessage, upstream: ClientRequest, { framing }: Admitted): void {
  if (framing.type === 'none') {
    request.resume();
    upstream.end();
    return;
  }
  request.on('end', () => {
    if (upstream.destroyed) return;
    const trailers = trailerFields(request.rawTrailers);
    if (framing.type === 'chunked' && trailers.length > 0) upstream.addTrailers(trailers);
    upstream.end();
  });
  request.pipe(upstream, { end: false });
  flushSoon(request, upstream);
}

/** 100 to who waits for it, 102 and 103 to who can read them; the service's 101 is no matter of this path. */
function relayInformation(upstream: ClientRequest, { request, response, bodyBegins }: Carriage): void {
  if (request.httpVersion !== '1.1') return;
  upstream.on('information', ({ statusCode, headers }) => {
    if (response.headersSent || response.destroyed) return;
    const { link } = headers;
    try {
      if (statusCode === 100 && expectsContinue(request)) {
        response.writeContinue();
        bodyBegins();
      } else if (statusCode === 102) response.writeProcessing();
      else if (statusCode === 103 && link !== undefined) response.writeEarlyHints({ link });
    } catch {
      // A hint in a form that node will not repeat is only a hint.
    }
  });
}

/**
 * Answers what cuts the response off, so that the client does not take what it has for the whole. Throws, having sent nothing, when
 * the head cannot be repeated.
 */
function relayResponse(incoming: IncomingMessage, request: IncomingMessage, response: ServerResponse): () => void {
  const { statusCode = 502, statusMessage } = incoming;
  const hasBody = request.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
  const chunked = hasBody && request.httpVersion === '1.1' && incoming.headers['transfer-encoding'] !== undefined;
  response.writeHead(statusCode, statusMessage, responseFields(incoming, chunked));
  incoming.pipe(response, { end: false });
  incoming.on('end', () => {
    if (response.destroyed) return;
    const trailers = trailerFields(incoming.rawTrailers);
    if (chunked && trailers.length > 0) response.addTrailers(trailers);
    response.end();
  });
  const cut = (): void => {
    // One that is told no length takes the end of the connection for the end of the answer.
    if (hasBody && !response.chunkedEncoding && incoming.headers['content-length'] === undefined)
      resetSocket(request.socket);
    else response.destroy();
  };
  onCutShort(incoming, cut);
  flushSoon(incoming, response);
  return cut;
}

/** An answer without a length is over when its connection is, and node takes a reset for that too. */
export function onCutShort(incoming: IncomingMessage, cut: () => void): void {
  const { socket } = incoming;
  const fail = (): void => {
    if (!incoming.complete) cut();
  };
  incoming.on('error', cut);
  // Before node hears of it.
  socket.prependListener('error', fail);
  incoming.on('close', () => {
    socket.off('error', fail);
    fail();
  });
}

/** A head goes with the first bytes of its body when they are here already, in one packet; else alone, not to hold it up. */
function flushSoon(body: IncomingMessage, message: ClientRequest | ServerResponse): void {
  setImmediate(() => {
    if (!body.readableDidRead && !message.writableEnded && !message.destroyed) message.flushHeaders();
  });
}
