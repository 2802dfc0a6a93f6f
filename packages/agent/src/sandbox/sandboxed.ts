/** Which services programs of this host run as, shut in: how many of each. */
import type { DeclaredHere } from '../flows/judge.ts';

export class Sandboxed {
  readonly #counts = new Map<string, number>();

  enter(service: string): void {
    this.#counts.set(service, (this.#counts.get(service) ?? 0) + 1);
  }

  leave(service: string): void {
    const left = (this.#counts.get(service) ?? 0) - 1;
    if (left > 0) this.#counts.set(service, left);
    else this.#counts.delete(service);
  }

  /** With those of the agent file: all that a flow of this host may speak as. */
  beside(declared: DeclaredHere): DeclaredHere {
    const counts = this.#counts;
    return {
      has: (service) => declared.has(service) || counts.has(service),
      keys: () => new Set([...declared.keys(), ...counts.keys()]).keys(),
    };
  }
}
