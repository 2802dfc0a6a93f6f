/**
 * Who makes a call, from the check at its head to the handler at its end. They share the call's metadata as an object, and
 * what is known of it is kept beside it: nothing that a caller writes into its metadata can pass for this.
 */
import type { Metadata } from '@grpc/grpc-js';
import type { Actor } from '../audit/types.ts';

export class CallActors {
  readonly #actors = new WeakMap<Metadata, Actor>();

  admit(metadata: Metadata, actor: Actor): void {
    this.#actors.set(metadata, actor);
  }

  /** Throws for a call that was not admitted: better not served than served for nobody. */
  of(metadata: Metadata): Actor {
    const actor = this.#actors.get(metadata);
    if (actor === undefined) throw new Error('a call reached its handler without having been admitted');
    return actor;
  }
}
