/**
 * Whether control's data is an older copy. What an agent is told of, it is told in control's own hand, and gives that back when it
 * comes again: so control learns it from those alone who have heard more, and none can stop a network by saying that it has.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { heardFromWire, type pb } from '@weft/proto/wire';
import type { Logger } from 'pino';
import type { FailureCounter } from '../bounds/failures.ts';
import { observedHost } from '../bounds/observed.ts';
import { tellOlder } from '../state/older-data.ts';
import type { Heard, StateStore } from '../state/types.ts';
import { held, type Refusal } from './authenticate.ts';

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

export interface OlderDataOptions {
  readonly state: StateStore;
  readonly receipts: Receipts;
  /** What agents have heard of beyond control's data is lost, by an operator's word. */
  readonly acceptOlderData: boolean;
  readonly complaints: FailureCounter;
  readonly logger: Logger;
  /** Whoever was let in before cannot know, and is served no more: what was handed out may have permitted too much. */
  readonly onFound: (refusal: Refusal) => void;
}

export class OlderDataGuard {
  readonly #options: OlderDataOptions;
  #numbering: boolean = false;

  constructor(options: OlderDataOptions) {
    this.#options = options;
  }

  /**
   * A receipt proves what control has told, whoever shows it: also an agent that joined after the copy was made. `member` is the
   * host that has proved itself; nobody else is believed a name. `peer` is HOST:PORT.
   */
  refuse(hello: pb.Hello, member: string | undefined, peer: string): Refusal | undefined {
    const { state, receipts, acceptOlderData } = this.#options;
    const heard = heardFromWire(hello);
    const compared = heard !== undefined && receipts.proves(heard) ? state.compare(heard) : 'known';
    if (heard !== undefined && compared !== 'known') {
      const host = member ?? `one at ${observedHost(peer)} that is no member`;
      const accepted = compared === 'given-up' || acceptOlderData;
      if (accepted && state.olderData === undefined) {
        this.#accept(host, heard);
        return held('control goes on from what this host has heard, and serves it when it comes again');
      }
      if (!accepted) this.#found(host, heard.revision);
    }
    return this.refusal();
  }

  /** What each agent is told while the data is known to be older. */
  refusal(): Refusal | undefined {
    const { olderData, current } = this.#options.state;
    return olderData && held(tellOlder(olderData, current.revision));
  }

  /** One at a time: whoever comes meanwhile comes again. */
  #accept(host: string, heard: Heard): void {
    if (this.#numbering) return;
    this.#numbering = true;
    const { state, logger } = this.#options;
    const { revision } = heard;
    logger.warn({ event: 'older-data-accepted', host, revision }, 'numbers go on above what a host has heard');
    state
      .numberOn(host, heard)
      .catch((err: unknown) => {
        logger.error(
          { event: 'older-data-not-accepted', host, revision, err },
          'it is tried again when the host comes again',
        );
      })
      .finally(() => {
        this.#numbering = false;
      });
  }

  #found(host: string, revision: number): void {
    const { state, logger, complaints } = this.#options;
    const known = state.current.revision;
    if (state.olderData?.hosts.includes(host) !== true && !complaints.note('older-data')) {
      logger.error(
        { event: 'older-data', host, revision, known },
        "a host has heard of more than control's data holds",
      );
    }
    state.foundOlder(host, revision).catch((err: unknown) => {
      logger.error({ event: 'older-data-not-recorded', err }, 'that the data is older could not be written down');
    });
    const refusal = this.refusal();
    if (refusal !== undefined) this.#options.onFound(refusal);
  }
}
