/** What control asks an agent while a stream lasts: the way to a peer, what flows are open, what answers of a peer's host. */
import { messageOf, type OpenFlows, type OpenFlowsQuestion, type PlaceOutcome, type TriedPlace } from '@weft/proto';
import {
  openFlowsQuestionFromWire,
  openFlowsToWire,
  outcomesToWire,
  type pb,
  sentence,
  triedPlacesFromWire,
} from '@weft/proto/wire';
import type { Logger } from 'pino';
import { Deadline } from '../bytes/deadline.ts';

export interface QuestionParts {
  /** Round-trip time to a peer in microseconds; throws when it cannot be reached. */
  readonly trace: (agentId: string, deadline: Deadline) => Promise<number>;
  readonly openFlows: (asked: OpenFlowsQuestion) => Promise<OpenFlows>;
  /** Whether places of a peer answer, in their order. Never rejects. */
  readonly tryPlaces: (
    agentId: string,
    places: readonly TriedPlace[],
    signal: AbortSignal,
  ) => Promise<readonly PlaceOutcome[]>;
  readonly logger: Logger;
}

/** Where answers go: nowhere once the stream is over. */
interface Outlet {
  write(message: pb.Outgoing<pb.AgentMessage>): void;
  /** Whether the stream took the message before it was over. */
  writeAndWait(message: pb.Outgoing<pb.AgentMessage>): Promise<boolean>;
}

/** Shorter than the 3 s that control waits for an answer, so that it hears why. */
const TRACE_TIMEOUT_MS = 2_500;
/** Traces at once; a control that asks more is answered so. */
const MAX_TRACES = 64;
/** Questions about open flows that wait for their turn. */
const MAX_LISTINGS = 16;

export class Questions {
  readonly #parts: QuestionParts;
  readonly #outlet: Outlet;
  readonly #over: AbortSignal;
  #traces = 0;
  #listings = 0;
  #trying: boolean = false;
  #listing: Promise<void> = Promise.resolve();

  /** `over`: the stream is. */
  constructor(parts: QuestionParts, outlet: Outlet, over: AbortSignal) {
    this.#parts = parts;
    this.#outlet = outlet;
    this.#over = over;
  }

  async trace({ id, agentId }: pb.TraceRequest): Promise<void> {
    if (this.#traces >= MAX_TRACES) {
      this.#outlet.write({
        trace: { id, reachable: false, roundTripUs: 0, detail: 'this agent is busy with other traces' },
      });
      return;
    }
    this.#traces += 1;
    const deadline = new Deadline(TRACE_TIMEOUT_MS);
    const stop = () => deadline.end(new Error('the stream to control ended'));
    this.#over.addEventListener('abort', stop, { once: true });
    try {
      const roundTripUs = Math.max(1, Math.round(await this.#parts.trace(agentId, deadline)));
      this.#outlet.write({ trace: { id, reachable: true, roundTripUs, detail: '' } });
    } catch (error) {
      this.#outlet.write({ trace: { id, reachable: false, roundTripUs: 0, detail: sentence(messageOf(error)) } });
    } finally {
      deadline.close();
      this.#over.removeEventListener('abort', stop);
      this.#traces -= 1;
    }
  }

  /** One at a time, in their order; of a control that asks on and on, those beyond a few are not answered. */
  openFlows(asked: pb.OpenFlowsRequest): void {
    if (this.#listings >= MAX_LISTINGS) return;
    this.#listings += 1;
    this.#listing = this.#listing.then(async () => {
      try {
        if (this.#over.aborted) return;
        const open = await this.#parts.openFlows(openFlowsQuestionFromWire(asked));
        await this.#outlet.writeAndWait({ openFlows: openFlowsToWire(asked.id, open) });
      } catch (err) {
        // A question that cannot be read is a newer control's, and control names who does not answer.
        this.#parts.logger.warn({ event: 'open-flows-not-told', err }, 'open flows could not be told');
      } finally {
        this.#listings -= 1;
      }
    });
  }

  /** One question at a time; of a control that asks on and on, the others are not answered. */
  tryPlaces(asked: pb.TryPlacesRequest): void {
    if (this.#trying) return;
    this.#trying = true;
    const { tryPlaces, logger } = this.#parts;
    const answer = async () => {
      const places = triedPlacesFromWire(asked);
      logger.info({ event: 'places-tried', agent: asked.agentId, places: places.length }, 'trying places of a peer');
      const outcomes = await tryPlaces(asked.agentId, places, this.#over);
      this.#outlet.write({ tryPlaces: outcomesToWire(asked.id, outcomes) });
    };
    answer()
      // A question that cannot be read is a newer control's.
      .catch((err: unknown) => logger.warn({ event: 'places-not-tried', err }, 'places of a peer could not be tried'))
      .finally(() => {
        this.#trying = false;
      });
  }
}
