/**
 * What callers who have proved nothing are answered and do not read. grpc-js reads a call's next message though the answer to the
 * last one waits for its caller, and reflection answers each: seven bytes became some thousand, held for as long as the stranger
 * liked. Here a call's next message is read when the answer before has left, and answers that wait are few and have a time.
 */
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { agentService } from '@weft/proto/wire';
import { ByteBudget } from '../bounds/budget.ts';
import { observedHost } from '../bounds/observed.ts';
import { ADMIN_PREFIX } from './admin-auth.ts';
import { cutCall, streamOf } from './call-stream.ts';

/** What an answer is taken for, in bytes: reflection's are the largest. */
const ANSWER_BYTES = 64 * 1024;
/** Bytes of answers that wait: of all, and of one address. */
const UNREAD_BYTES = { all: 8 * 1024 * 1024, ofOne: 2 * 1024 * 1024 } as const;

/** An answer may wait for `unreadMs`. Admin calls have proved who they are, and Connect has bounds of its own. */
export function unreadAnswers(
  unreadMs: number,
  budget = new ByteBudget(UNREAD_BYTES.all, UNREAD_BYTES.ofOne),
): ServerInterceptor {
  return ({ path }, call) =>
    path.startsWith(ADMIN_PREFIX) || path === agentService.connect.path
      ? new ServerInterceptingCall(call)
      : new AnsweredCall(call, unreadMs, budget);
}

class AnsweredCall extends ServerInterceptingCall {
  readonly #who: string;
  readonly #unreadMs: number;
  readonly #budget: ByteBudget;
  #unread: NodeJS.Timeout | undefined;
  /** The handler is ready for the next message. */
  #ready: boolean = false;

  constructor(call: ServerInterceptingCallInterface, unreadMs: number, budget: ByteBudget) {
    super(call);
    this.#who = observedHost(call.getPeer()) || 'unknown';
    this.#unreadMs = unreadMs;
    this.#budget = budget;
    // A call that is over calls nobody back.
    streamOf(call)?.once('close', () => this.#left());
  }

  override startRead(): void {
    if (this.#unread === undefined) super.startRead();
    else this.#ready = true;
  }

  /** One at a time, as streams write. */
  override sendMessage(message: unknown, callback: () => void): void {
    if (!this.#budget.take(this.#who, ANSWER_BYTES)) {
      this.sendStatus({ code: status.RESOURCE_EXHAUSTED, details: 'too many answers are unread; try again later' });
      setImmediate(() => cutCall(this));
      return;
    }
    this.#unread = setTimeout(() => cutCall(this), this.#unreadMs);
    super.sendMessage(message, () => {
      this.#left();
      if (this.#ready) {
        this.#ready = false;
        super.startRead();
      }
      callback();
    });
  }

  #left(): void {
    if (this.#unread === undefined) return;
    clearTimeout(this.#unread);
    this.#unread = undefined;
    this.#budget.giveBack(this.#who, ANSWER_BYTES);
  }
}
