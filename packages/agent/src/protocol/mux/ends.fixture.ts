/** The two ends of a tunnel in memory, and a view of the frames between them: no sockets, no clock but the test's. */

import { defined } from '@weft/proto';
import type { OpenRequest } from '../../words/opening.ts';
import { encodeCredit, encodeHeader } from './frames.ts';
import { Mux, type MuxLimits } from './mux.ts';
import type { Offer, OpeningEvents } from './opening.ts';
import type { RecordOutput } from './scheduler.ts';
import { MuxStream } from './stream.ts';
import { FRAME, FRAME_HEADER, type FrameType } from './types.ts';

export const request: OpenRequest = {
  flowId: '0123456789abcdef',
  protocol: 'tcp',
  service: 'redis',
  ordinal: 0,
  port: 6379,
  source: { type: 'host' },
};

export function frame(type: FrameType, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeHeader(type, id, payload.length), payload]);
}

export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function framesOf(record: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < record.length; ) {
    const start = at + FRAME_HEADER;
    const end = start + record.readUInt32BE(at + 5);
    frames.push({ type: record[at] ?? 0, id: record.readUInt32BE(at + 1), payload: record.subarray(start, end) });
    at = end;
  }
  return frames;
}

export class End implements RecordOutput {
  readonly mux: Mux;
  readonly offers: Offer[] = [];
  /** Records on their way to the other end. */
  sent: Buffer[] = [];
  backlog = 0;
  asked: boolean = false;
  drainedTold = 0;

  constructor(initiator: boolean, clock: { readonly now: number }, limits?: MuxLimits) {
    const nothing = (): void => undefined;
    const events = {
      offered: (offer: Offer) => this.offers.push(offer),
      pong: nothing,
      rekey: nothing,
      handshake1: nothing,
      handshake2: nothing,
      switchKeys: nothing,
      drained: () => {
        this.drainedTold += 1;
      },
    };
    const now = (): number => clock.now;
    this.mux = new Mux({ initiator, output: this, events, now, ...defined({ limits }) });
  }

  record(pieces: readonly Buffer[]): void {
    this.sent.push(Buffer.concat(pieces));
  }

  flushSoon(): void {
    this.asked = true;
  }

  /** Runs loop turns until nothing leaves any more; answers the frames that left. */
  flushed(): Frame[] {
    const frames: Frame[] = [];
    do {
      if (this.asked) {
        this.asked = false;
        this.mux.flush();
      }
      frames.push(...this.sent.splice(0).flatMap(framesOf));
    } while (this.asked);
    return frames;
  }

  /** Asks for a stream, and is answered with this credit by a peer that is the test. */
  openWith(credit: number): MuxStream {
    let opened: MuxStream | undefined;
    this.mux.request(
      request,
      asStream((stream) => {
        opened = stream;
      }),
    );
    const id = this.flushed().find(({ type }) => type === FRAME.open)?.id ?? 0;
    this.mux.receive([frame(FRAME.opened, id, encodeCredit(credit))], true);
    if (opened === undefined) throw new Error('not opened');
    return opened;
  }
}

export function asStream(use: (stream: MuxStream) => void): OpeningEvents {
  return {
    opened: (entry) => {
      if (entry instanceof MuxStream) use(entry);
    },
    refused: () => undefined,
    failed: () => undefined,
  };
}

export class World {
  readonly clock = { now: 0 };
  readonly a: End;
  readonly b: End;

  constructor(limits?: MuxLimits) {
    this.a = new End(true, this.clock, limits);
    this.b = new End(false, this.clock, limits);
  }

  /** Runs loop turns until nothing moves. */
  settle(): void {
    let moved: boolean;
    do {
      moved = false;
      for (const [from, to] of [
        [this.a, this.b],
        [this.b, this.a],
      ] as const) {
        if (from.asked) {
          from.asked = false;
          from.mux.flush();
          moved = true;
        }
        for (const record of from.sent.splice(0)) {
          moved = true;
          // From memory that others use after.
          to.mux.receive([record], false);
          record.fill(0xee);
        }
      }
    } while (moved);
  }

  open(): { near: User; far: User } {
    let near: MuxStream | undefined;
    this.a.mux.request(
      request,
      asStream((stream) => {
        near = stream;
      }),
    );
    this.settle();
    const far = this.b.offers.pop()?.accept();
    this.settle();
    if (near === undefined || !(far instanceof MuxStream)) throw new Error('not opened');
    return { near: new User(near), far: new User(far) };
  }
}

/** What a stream told its one user. */
export class User {
  readonly stream: MuxStream;
  received = 0;
  drains = 0;
  readonly log: string[] = [];

  constructor(stream: MuxStream) {
    this.stream = stream;
    stream.attach({
      data: (piece) => {
        this.received += piece.length;
      },
      end: () => this.log.push('end'),
      drain: () => {
        this.drains += 1;
      },
      closed: (how) => this.log.push(how),
    });
  }
}
