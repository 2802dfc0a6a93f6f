/**
 * The admin service as JSON over HTTP, by the Connect protocol: one answer to a POST of application/json, or a stream to one of
 * application/connect+json. It stands on the dashboard's port, which bounds connections and the time that a request may take to
 * come; who may call, and what is served, is decided where it is for gRPC.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { status } from '@grpc/grpc-js';
import { formatHostPort } from '@weft/proto';
import type { Span, Tracer } from '@weft/proto/observe';
import { adminService } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { RolePlaces } from '../admin/role-places.ts';
import type { Actor } from '../audit/types.ts';
import { type AdminGate, bearerOf } from './admin-auth.ts';
import type { CallObserver } from './call-observer.ts';
import type { AdminCalls, AnyCall } from './calls.ts';
import { type HttpAnswer, singleAnswer, streamAnswer } from './http-answer.ts';
import { readHeaders, readMessage } from './http-request.ts';
import { CallRefused, noSuchMethod, refusedCall, statusFor } from './status.ts';
import { describe, endSpan, spanOf } from './tracing.ts';

export interface HttpCallsOptions {
  readonly calls: AdminCalls;
  readonly gate: AdminGate;
  readonly observer?: CallObserver | undefined;
  readonly tracer?: Tracer | undefined;
  readonly logger: Logger;
}

type Role = Actor['role'];

/** Who is signed in to the page that asks. */
export interface PageSession {
  readonly role: Role;
  /** Aborts when it is over. */
  readonly ended: AbortSignal;
}

interface Arrived {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly session: PageSession | undefined;
  readonly path: string;
}

type Codecs = typeof import('@weft/proto/json');

const methods: ReadonlyMap<string, keyof AdminCalls> = new Map(
  Object.entries(adminService).map(([name, { path }]) => [path, name as keyof AdminCalls]),
);

export class HttpCalls {
  readonly #options: HttpCallsOptions;
  readonly #closing = new AbortController();
  readonly #open = new Set<Promise<void>>();
  readonly #streams = new RolePlaces();
  #loading: Promise<Codecs> | undefined;

  constructor(options: HttpCallsOptions) {
    this.#options = options;
  }

  /** Answers in any case. A bearer that came counts, and the session where none did. Headers that are set already go along. */
  serve(request: IncomingMessage, response: ServerResponse, session: PageSession | undefined): void {
    const [path = ''] = (request.url ?? '').split('?');
    const serving = this.#serve({ request, response, session, path }).catch((error: unknown) => {
      this.#options.logger.error({ event: 'call-failed', method: path, err: error }, 'call failed');
      response.destroy();
    });
    this.#open.add(serving);
    void serving.finally(() => this.#open.delete(serving));
  }

  /** Streams end at once, and say so; what answers once may finish within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing.abort(refusedCall(status.UNAVAILABLE, 'closing', 'control closes; try again'));
    await Promise.race([Promise.all(this.#open), new Promise((resolve) => setTimeout(resolve, graceMs).unref())]);
  }

  async #serve(arrived: Arrived): Promise<void> {
    const { request, response, path } = arrived;
    const startedMs = performance.now();
    const over = new AbortController();
    const ended = new AbortController();
    response.once('close', () => ended.abort(refusedCall(status.CANCELLED, 'cancelled', 'the call was cancelled')));
    const name = methods.get(path);
    const stream = name !== undefined && adminService[name].responseStream;
    const answer = stream ? streamAnswer(response) : singleAnswer(response);
    this.#loading ??= import('@weft/proto/json').catch((error: unknown) => {
      // What could not be read now, for want of a file, may be the next time.
      this.#loading = undefined;
      throw error;
    });
    const codecs = await this.#loading;
    const traced: Running['traced'] = { span: undefined };
    let code = status.OK;
    try {
      if (name === undefined) throw new CallRefused(noSuchMethod(), 404);
      if (request.method !== 'POST') {
        response.setHeader('allow', 'POST');
        throw refusedCall(status.UNIMPLEMENTED, 'wrong-method', 'a call is sent by POST', 405);
      }
      const call = { ...arrived, name, stream, answer, codecs, ended, over: over.signal, traced };
      await unlessAborted(this.#run(call), ended.signal);
    } catch (error) {
      const { signal } = ended;
      const cause: unknown = signal.aborted ? signal.reason : error;
      const told = statusFor(cause, signal, path, this.#options.logger);
      code = told.code;
      // What has not come yet is read away, and not kept: the answer could be lost with a connection that is cut.
      request.resume();
      if (!response.destroyed)
        answer.fail(told, cause instanceof CallRefused ? cause.http : undefined, codecs.jsonDetail);
    } finally {
      over.abort();
    }
    endSpan(traced.span, code);
    if (name === undefined) return;
    this.#options.observer?.ended({ path, code, seconds: (performance.now() - startedMs) / 1_000, stream });
  }

  async #run(running: Running): Promise<void> {
    const { request, path, name, stream, answer, codecs, ended, over, traced } = running;
    const actor = this.#admit(running);
    const { traceparent } = request.headers;
    traced.span = this.#options.tracer?.start(spanOf('connectrpc', path, actor.address, traceparent));
    const timeoutMs = readHeaders(request.headers, stream);
    if (timeoutMs !== undefined) {
      const late = () => ended.abort(refusedCall(status.DEADLINE_EXCEEDED, 'deadline', 'the time of the call is over'));
      const timer = setTimeout(late, Math.min(timeoutMs, 0x7fffffff));
      over.addEventListener('abort', () => clearTimeout(timer));
    }
    if (stream) this.#takePlace(actor.role, over);
    const method = adminService[name];
    const codec = codecs.jsonMethods.get(path);
    if (codec === undefined) throw new Error(`${path} has no JSON`);
    const bytes = codec.read(await readMessage(request, path, stream));
    const { signal } = ended;
    signal.throwIfAborted();
    if (stream) {
      until(over, this.#closing.signal, () => ended.abort(this.#closing.signal.reason));
      answer.begin();
    }
    const toText = (message: unknown): string => codec.write(method.responseSerialize(message as never));
    const decoded = method.requestDeserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    describe(traced.span, decoded);
    const served = await (this.#options.calls[name] as AnyCall)({
      request: decoded,
      actor,
      authority: hostName(request.headers.host),
      signal,
      write: (message) => {
        // It may last for days, and a span is seen when it ends.
        endSpan(traced.span, undefined);
        traced.span = undefined;
        return answer.write(toText(message), signal);
      },
    });
    signal.throwIfAborted();
    answer.end(stream ? '' : toText(served));
  }

  #admit({ request, session, path, ended, over }: Running): Actor {
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    const { authorization: sent } = request.headersDistinct;
    const own = sent === undefined ? session : undefined;
    const [value = ''] = sent ?? [];
    const token = sent?.length === 1 ? bearerOf(value) : undefined;
    const peer = formatHostPort(remoteAddress, remotePort);
    const admitted = this.#options.gate({ path, peer, token, role: own?.role });
    if ('refusal' in admitted) throw new CallRefused(admitted.refusal);
    const signedOut = () => ended.abort(refusedCall(status.UNAUTHENTICATED, 'signed-out', 'the session is over'));
    if (own !== undefined) until(over, own.ended, signedOut);
    return admitted.actor;
  }

  #takePlace(role: Role, over: AbortSignal): void {
    const leave = this.#streams.take(role);
    if (leave === undefined) {
      const details = `${this.#streams.most[role]} streams are open with this token or its sessions, and no more are; end one first`;
      throw refusedCall(status.RESOURCE_EXHAUSTED, 'too-many-streams', details);
    }
    over.addEventListener('abort', leave);
  }
}

interface Running extends Arrived {
  readonly name: keyof AdminCalls;
  readonly stream: boolean;
  readonly answer: HttpAnswer;
  readonly codecs: Codecs;
  /** Ends the call, with a CallRefused for its reason. */
  readonly ended: AbortController;
  /** Aborts when it has ended. */
  readonly over: AbortSignal;
  readonly traced: { span: Span | undefined };
}

/** Does it when `signal` aborts, unless it is over before. */
function until(over: AbortSignal, signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', act, { once: true, signal: over });
}

/** A call that does not heed its signal is not waited for. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

/** The port is the dashboard's, which is none for agents. */
function hostName(host: string | undefined): string {
  return host?.replace(/:\d{1,5}$/, '') ?? '';
}
