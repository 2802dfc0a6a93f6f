/** Who makes a call, asked of the main thread: it alone has seen who was there first. */
import { MOST_CALLERS } from '../../owner/owners.ts';
import { type CallerSocket, type Owner, type OwnerProcess, UNKNOWN_OWNER } from '../../words/owner.ts';

export class MainOwners {
  readonly #ask: (serial: number, caller: CallerSocket) => void;
  readonly #asked = new Map<number, (owner: Owner) => void>();
  /** Of whom the process is told later. */
  readonly #unnamed = new Map<number, (process: OwnerProcess) => void>();
  #serial = 0;

  constructor(ask: (serial: number, caller: CallerSocket) => void) {
    this.#ask = ask;
  }

  /** Never rejects. The main thread answers in a bounded time, whatever it finds. */
  find(caller: CallerSocket): Promise<Owner> {
    if (this.#asked.size >= MOST_CALLERS) return Promise.resolve(UNKNOWN_OWNER);
    const serial = ++this.#serial;
    return new Promise((resolve) => {
      this.#asked.set(serial, resolve);
      this.#ask(serial, caller);
    });
  }

  found(serial: number, owner: Owner, naming: boolean): void {
    this.#asked.get(serial)?.(naming ? this.#toBeNamed(serial, owner) : owner);
    this.#asked.delete(serial);
  }

  /** Once its process was looked for. */
  named(serial: number, process: OwnerProcess): void {
    this.#unnamed.get(serial)?.(process);
    this.#unnamed.delete(serial);
  }

  #toBeNamed(serial: number, owner: Owner): Owner {
    const { promise, resolve } = Promise.withResolvers<void>();
    const named: Owner = { ...owner, naming: promise };
    this.#unnamed.set(serial, (process) => {
      Object.assign(named, process, { naming: undefined });
      resolve();
    });
    return named;
  }

  /** It goes by the main thread's rules, */
  follow(): void {}

  /** and that is warm. */
  warm(): void {}

  /** nor knows it by which file of its process one calls. */
  left(): void {}

  look(): Promise<'not-looked-at'> {
    return Promise.resolve('not-looked-at');
  }
}
