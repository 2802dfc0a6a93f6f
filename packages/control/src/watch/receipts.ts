/**
 * What an agent was told of, in control's own hand. The agent gives it back when it comes again: so control learns that its data
 * is an older copy from those alone who have heard more, and none can stop a network by saying that it has.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Heard } from '../state/types.ts';

const BYTES = 16;

export class Receipts {
  readonly #key: Buffer;
  /** All agents of a network are told of the same revision. */
  #last: { readonly heard: Heard; readonly receipt: Uint8Array } | undefined;

  /** `secret` is of the control that agents trust, whatever becomes of its data. */
  constructor(secret: string) {
    this.#key = createHmac('sha256', secret).update('weft receipts v1').digest();
  }

  /** 16 bytes. */
  of(timeline: string, revision: number): Uint8Array {
    if (this.#last?.heard.timeline === timeline && this.#last.heard.revision === revision) return this.#last.receipt;
    const receipt = this.#make({ timeline, revision });
    this.#last = { heard: { timeline, revision }, receipt };
    return receipt;
  }

  proves({ receipt, ...heard }: Heard & { readonly receipt: Uint8Array }): boolean {
    return receipt.length === BYTES && timingSafeEqual(receipt, this.#make(heard));
  }

  #make({ timeline, revision }: Heard): Uint8Array {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([timeline, revision]))
      .digest()
      .subarray(0, BYTES);
  }
}
