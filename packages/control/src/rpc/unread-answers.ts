/**
 * What callers are answered and do not read. grpc-js reads a call's next message though the answer to the last one waits for its
 * caller, and reflection answers each: seven bytes became some thousand, held for as long as the stranger liked. Here a call's next
 * message is read when the answer before has left, and an answer waits for a while; how many calls there are is bounded by
 * `openCalls`, and of those that bring a token by `AnswerPlaces`.
 */
import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from '@grpc/grpc-js';
import { cutCall, streamOf } from './call-stream.ts';
import { answersAnyone } from './open-calls.ts';
import { ADMIN_PREFIX } from './roles.ts';

/** How long an answer waits for its caller to read it: of a call that answers anyone, and of one that brings a token and is answered once. */
export interface Unread {
  readonly anyoneMs: number;
  /** It may be megabytes, on their way to an operator who is far. */
  readonly tokenMs: number;
}

/** A call whose answer is not read in time is cut. Streams of who brings a token wait for as long as they are read, and have places of their own. */
export function unreadAnswers({ anyoneMs, tokenMs }: Unread): ServerInterceptor {
  return ({ path, responseStream }, call) => {
    if (answersAnyone(path)) return new AnsweredCall(call, anyoneMs);
    const once = path.startsWith(ADMIN_PREFIX) && !responseStream;
    return once ? new AnsweredCall(call, tokenMs) : new ServerInterceptingCall(call);
  };
}

class AnsweredCall extends ServerInterceptingCall {
  readonly #unreadMs: number;
  #unread: NodeJS.Timeout | undefined;
  /** The handler is ready for the next message. */
  #ready: boolean = false;

  constructor(call: ServerInterceptingCallInterface, unreadMs: number) {
    super(call);
    this.#unreadMs = unreadMs;
    // A call that is over calls nobody back.
    streamOf(call)?.once('close', () => clearTimeout(this.#unread));
  }

  override startRead(): void {
    if (this.#unread === undefined) super.startRead();
    else this.#ready = true;
  }

  /** One at a time, as streams write. */
  override sendMessage(message: unknown, callback: () => void): void {
    this.#unread = setTimeout(() => cutCall(this), this.#unreadMs).unref();
    super.sendMessage(message, () => {
      clearTimeout(this.#unread);
      this.#unread = undefined;
      if (this.#ready) {
        this.#ready = false;
        super.startRead();
      }
      callback();
    });
  }
}
