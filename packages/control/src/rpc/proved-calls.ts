/** Which calls come from somebody who has proved who it is: an admin by a token at the headers, an agent by its Hello. */
import { streamOf } from './call-stream.ts';

export class ProvedCalls {
  readonly #proved = new WeakSet<object>();
  readonly #listeners = new WeakMap<object, () => void>();

  /** `call` is the call as its handler or an interceptor has it. */
  prove(call: object): void {
    const stream = streamOf(call);
    if (stream === undefined || this.#proved.has(stream)) return;
    this.#proved.add(stream);
    this.#listeners.get(stream)?.();
  }

  has(stream: object): boolean {
    return this.#proved.has(stream);
  }

  /** Called once, when it is proved. One listener a stream. */
  onProved(stream: object, listener: () => void): void {
    this.#listeners.set(stream, listener);
  }
}
