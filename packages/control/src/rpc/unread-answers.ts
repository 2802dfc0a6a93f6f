/**
 * What callers who have proved nothing are answered and do not read. grpc-js reads a call's next message though the answer to the
 * last one waits for its caller, and reflection answers each: seven bytes became some thousand, held for as long as the stranger
 * liked. Here a call's next message is read when the answer before has left, and an answer waits for a while; how many calls there
 * are is bounded by `openCalls`.
 */
import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from '@grpc/grpc-js';
import { cutCall, streamOf } from './call-stream.ts';
import { answersAnyone } from './open-calls.ts';

/** A call of those that answer anyone, whose answer is not read in `unreadMs`, is cut. */
export function unreadAnswers(unreadMs: number): ServerInterceptor {
  return ({ path }, call) =>
    answersAnyone(path) ? new AnsweredCall(call, unreadMs) : new ServerInterceptingCall(call);
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
