/**
 * Calls that are answered once, of each role, from when they are taken up until their answer has left: who asks and takes no answer holds its
 * own role's places, and memory for no more. Of the read token one is taken up a turn of the loop: hundreds come by one read, some take
 * milliseconds each, and between two of them agents and who acts are heard.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { RolePlaces } from '../admin/role-places.ts';
import type { Actor } from '../audit/types.ts';
import { streamOf } from './call-stream.ts';
import { refusedCall } from './status.ts';

type Role = Actor['role'];

/** Calls under way at once, and calls that wait for one of these to be over. */
export const ANSWERS = { most: { read: 32, admin: 128 }, waiting: { read: 256, admin: 1_024 } } as const;

export class AnswerPlaces {
  readonly #places = new RolePlaces(ANSWERS.most);
  readonly #waiting: Readonly<Record<Role, Set<() => void>>> = { read: new Set(), admin: new Set() };
  /** One of the read token's was taken up in this turn. */
  #taken: boolean = false;

  /**
   * Does the work in a place, in this very turn where one is free and nobody waits. `call` is the call as its handler has it. Throws a
   * CallRefused when too many wait, and the reason of `signal` when it aborts meanwhile.
   */
  async within<T>(role: Role, call: object, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const leave = this.#take(role) ?? (await this.#wait(role, signal));
    try {
      return await work();
    } finally {
      afterClose(streamOf(call), () => {
        leave();
        this.#next(role);
      });
    }
  }

  #take(role: Role): (() => void) | undefined {
    if (this.#waiting[role].size > 0) return undefined;
    return this.#place(role);
  }

  #place(role: Role): (() => void) | undefined {
    if (role === 'admin') return this.#places.take(role);
    if (this.#taken) return undefined;
    const leave = this.#places.take(role);
    if (leave === undefined) return undefined;
    this.#taken = true;
    setImmediate(() => {
      this.#taken = false;
      this.#next(role);
    });
    return leave;
  }

  #wait(role: Role, signal: AbortSignal): Promise<() => void> {
    const waiting = this.#waiting[role];
    const most = ANSWERS.waiting[role];
    if (waiting.size >= most) {
      const details = `${this.#places.most[role]} calls with the ${role} token are under way, or wait to be read by who made them, and ${most} more wait; end some first`;
      throw refusedCall(status.RESOURCE_EXHAUSTED, 'too-many-calls', details);
    }
    return new Promise((resolve, reject) => {
      const tried = (): void => {
        const leave = this.#place(role);
        if (leave === undefined) return;
        waiting.delete(tried);
        signal.removeEventListener('abort', ended);
        resolve(leave);
      };
      const ended = (): void => {
        waiting.delete(tried);
        reject(signal.reason);
      };
      if (signal.aborted) ended();
      else {
        waiting.add(tried);
        signal.addEventListener('abort', ended, { once: true });
      }
    });
  }

  /** Each place that is free goes to who has waited longest. */
  #next(role: Role): void {
    for (const tried of this.#waiting[role]) {
      const { size } = this.#waiting[role];
      tried();
      if (this.#waiting[role].size === size) return;
    }
  }
}

/** Where no stream can be found below a call, what it holds is bounded as it was: by its connection. */
function afterClose(stream: ServerHttp2Stream | undefined, act: () => void): void {
  if (stream === undefined || stream.closed || stream.destroyed) act();
  else stream.once('close', act);
}
