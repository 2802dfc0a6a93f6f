/** One stream to control, from its challenge to its end: hello, deltas and acknowledgements, reports, flows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  asError,
  CAPABILITY,
  capabilityOf,
  defined,
  messageOf,
  type NetmapDelta,
  type Report,
  type Telemetry,
  UNSAID_CAPABILITY,
} from '@weft/proto';
import {
  deltaFromWire,
  helloMessage,
  inventoryToWire,
  itemDigest,
  type pb,
  type ReceivedDelta,
  reportToWire,
  sentence,
  telemetryToWire,
} from '@weft/proto/wire';
import type { AgentKeys, Membership } from '../member/identity.ts';
import { signedBy } from '../member/keys.ts';
import type { NetmapKeeper } from '../member/persist.ts';
import type { Applied, NetmapStore } from '../netmap/store.ts';
import { type FlowBatches, FlowSender } from './flow-sender.ts';
import { type QuestionParts, Questions } from './questions.ts';
import type { ReportSender } from './report-sender.ts';
import type { ControlStreamEnd, Held } from './retry.ts';

/** What moves now. */
export interface TelemetrySource {
  /** Counts since the last call. */
  take(): Promise<Telemetry>;
  /** What was taken was not told. */
  giveBack(telemetry: Telemetry): void;
  /** From one to the next, milliseconds. */
  pauseMs(): number;
}

export interface ControlStreamParts extends QuestionParts {
  readonly keys: AgentKeys;
  readonly membership: Membership;
  readonly store: NetmapStore;
  readonly reporter: ReportSender;
  readonly flows: FlowBatches;
  readonly telemetry: TelemetrySource;
  /** Random bytes that name this run of the agent. */
  readonly run: Uint8Array;
  readonly version: string;
  readonly keeper: Pick<NetmapKeeper, 'holds' | 'recovered'>;
  /** Control tells at which address it sees this agent; empty when it does not know. */
  readonly seen: (observedHost: string) => void;
  /** Control has been heard: what the netmap says is fresh. */
  readonly served: () => void;
}

export type ControlStream = ClientDuplexStream<pb.Outgoing<pb.AgentMessage>, pb.ControlMessage>;

/** Control sends its challenge at once; one that does not is stuck. */
const CHALLENGE_TIMEOUT_MS = 10_000;
/** For the last flows, once the agent stops. */
const STOP_TIMEOUT_MS = 500;
/** Whatever control says: an agent that is never heard again cannot be told that all is well. */
const MOST_HELD_MS = 3_600_000;
/**
 * Runs the stream to its end, which the signal asks for: then the flows that are left are sent and the stream is closed in
 * order. Never rejects: how it ended is the answer.
 */
export function runControlStream(
  stream: ControlStream,
  parts: ControlStreamParts,
  signal: AbortSignal,
): Promise<ControlStreamEnd> {
  return new Promise((resolve) => {
    new Session(stream, parts, signal, resolve).start();
  });
}

class Session {
  readonly #stream: ControlStream;
  readonly #parts: ControlStreamParts;
  /** Asks for an end in order. */
  readonly #stop: AbortSignal;
  /** The stream is over. */
  readonly #over = new AbortController();
  readonly #resolve: (end: ControlStreamEnd) => void;
  readonly #challengeTimer: NodeJS.Timeout;
  #state: 'challenge' | 'welcome' | 'first-delta' | 'deltas' = 'challenge';
  /** A resync was asked for; deltas that do not build on what is held are of no interest until it comes. */
  #resyncing: boolean = false;
  #served: boolean = false;
  /** Control was told that what is enforced is not kept, and will be told when it is. */
  #recovering: boolean = false;
  #acknowledgesFlows: boolean = false;
  /** What control understands. */
  #capability = UNSAID_CAPABILITY;
  #flowSender: FlowSender | undefined;
  /** Resolves when flows that control has not are back in the queue. */
  #flowsTold: Promise<void> = Promise.resolve();
  #telling: Promise<void> = Promise.resolve();
  /** Resolves when all changes so far are acknowledged, or the stream is over. */
  #settled: Promise<void> = Promise.resolve();
  readonly #questions: Questions;

  constructor(
    stream: ControlStream,
    parts: ControlStreamParts,
    stop: AbortSignal,
    resolve: (end: ControlStreamEnd) => void,
  ) {
    this.#stream = stream;
    this.#parts = parts;
    this.#stop = stop;
    this.#resolve = resolve;
    const outlet = {
      write: (message: pb.Outgoing<pb.AgentMessage>) => this.#write(message),
      writeAndWait: (message: pb.Outgoing<pb.AgentMessage>) => this.#writeAndWait(message),
    };
    this.#questions = new Questions(parts, outlet, this.#over.signal);
    this.#challengeTimer = setTimeout(
      () => this.#lost(new Error(`control sent no challenge within ${CHALLENGE_TIMEOUT_MS / 1_000} s`)),
      CHALLENGE_TIMEOUT_MS,
    );
  }

  start(): void {
    this.#stream.on('data', (message) => {
      if (this.#over.signal.aborted) return;
      try {
        this.#receive(message);
      } catch (error) {
        this.#lost(asError(error));
      }
    });
    this.#stream.on('error', (error) => this.#lost(error));
    this.#stream.on('end', () => this.#lost(new Error('control ended the stream')));
    this.#stop.addEventListener('abort', this.#onStop);
    if (this.#stop.aborted) this.#onStop();
  }

  /** What is left of the flows is sent by #tellFlows(); a control that does not take it in time shall not hold the agent up. */
  readonly #onStop = () => {
    const stopped = () => this.#lost(new Error('the agent stops'));
    if (!this.#served) stopped();
    else this.#over.signal.addEventListener('abort', clear(setTimeout(stopped, STOP_TIMEOUT_MS)), { once: true });
  };

  #receive(message: pb.ControlMessage): void {
    if (message.challenge) this.#answer(message.challenge);
    else if (message.welcome) this.#stand(message.welcome);
    else if (message.delta) this.#apply(message.delta);
    else if (message.revoked) this.#end({ type: 'revoked', reason: message.revoked.reason });
    else if (message.held) this.#end(heldOf(message.held));
    else if (message.trace) void this.#questions.trace(message.trace);
    else if (message.openFlows) this.#questions.openFlows(message.openFlows);
    else if (message.tryPlaces) this.#questions.tryPlaces(message.tryPlaces);
    else if (message.flowsTaken) this.#flowSender?.taken(message.flowsTaken.sequence);
    // Anything else is from a newer control, and not for this agent.
  }

  /** Challenge -> Hello. */
  #answer({ nonce, acknowledgesFlows, capability }: pb.Challenge): void {
    if (this.#state !== 'challenge' || nonce.length !== 32) throw new Error('control sent a challenge that is none');
    clearTimeout(this.#challengeTimer);
    this.#state = 'welcome';
    this.#acknowledgesFlows = acknowledgesFlows;
    this.#capability = capabilityOf(capability);
    const { keys, membership, version, store } = this.#parts;
    const { timeline, revision, receipt } = store.position;
    const signed = helloMessage(nonce, membership.pin, membership.agentId);
    this.#write({
      hello: {
        agentId: membership.agentId,
        signature: signedBy(keys, signed),
        version,
        timeline,
        revision,
        ...defined({ receipt }),
        run: this.#parts.run,
        capability: CAPABILITY,
      },
    });
  }

  /** Welcome -> Standing. */
  #stand({ observedHost }: pb.Welcome): void {
    if (this.#state !== 'welcome') throw new Error('control welcomed this agent out of turn');
    this.#state = 'first-delta';
    const { store, reporter, seen } = this.#parts;
    seen(sentence(observedHost, 64));
    const report = reporter.current;
    const { timeline, index } = store.position;
    const digests = Array.from(store.encoded, ([key, bytes]): [string, Uint8Array] => [key, itemDigest(bytes)]);
    this.#write({
      standing: {
        timeline,
        index,
        inventory: inventoryToWire(new Map(digests)),
        report: reportToWire(report),
      },
    });
    reporter.connect((next) => this.#report(next), report);
  }

  /** Delta -> enforce -> keep -> Ack; or, where it does not fit, -> Resync. */
  #apply(wire: pb.Delta): void {
    if (this.#state === 'challenge' || this.#state === 'welcome')
      throw new Error('control sent a delta before its welcome');
    const { logger } = this.#parts;
    const { delta, encoded, rejected } = deltaFromWire(wire);
    for (const { key, reason } of rejected) {
      logger.error({ event: 'item-rejected', key, reason }, 'control sent an item that means nothing; it is left out');
    }
    const resumed = this.#state === 'first-delta';
    this.#state = 'deltas';
    const result = this.#enforce(delta, resumed, encoded);
    if (result === undefined) return;
    if (!result.applied) {
      if (this.#resyncing) return;
      this.#resyncing = true;
      logger.warn({ event: 'netmap-gap', gap: result.gap }, 'missed a change; asking control for all of it');
      this.#write({ resync: { reason: sentence(result.gap) } });
      return;
    }
    this.#resyncing = false;
    // Every step ran inside apply(), so rules are swapped, flows re-checked and losers cut: this is enforcement, on this thread.
    // What one thread does not enforce is not acknowledged, as when a step fails here. Nor is a change before those that came before it.
    const elsewhere = result.elsewhere?.catch((cause: unknown) => {
      throw new Error(`a worker failed: ${messageOf(cause)}`, { cause });
    });
    const { keeper } = this.#parts;
    // Asked for before: a write that was refused may succeed while another thread still enforces.
    const { recovered } = keeper;
    this.#settled = Promise.all([keeper.holds(result.takesAway), elsewhere, this.#settled]).then(
      ([kept]) => this.#enforced(delta, kept, recovered),
      (cause: Error) => this.#unenforced(cause),
    );
  }

  /** What a step could not enforce is held all the same, and owed to the disk: it may have taken something away. */
  #enforce(delta: NetmapDelta, resumed: boolean, encoded: ReceivedDelta['encoded']): Applied | undefined {
    try {
      return this.#parts.store.apply(delta, resumed, encoded);
    } catch (error) {
      void this.#parts.keeper.holds(true);
      this.#unenforced(asError(error));
      return undefined;
    }
  }

  #enforced(delta: NetmapDelta, kept: boolean, recovered: Promise<void>): void {
    if (this.#over.signal.aborted) return;
    const { timeline, index, revision, snapshot } = delta;
    this.#write({ ack: { timeline, index, revision, kept } });
    if (!kept) this.#tellWhenKept(delta, recovered);
    this.#parts.logger.debug({ event: 'netmap-applied', index, revision, snapshot }, 'netmap applied');
    if (this.#served) return;
    this.#served = true;
    this.#parts.served();
    this.#flowSender = new FlowSender({
      flows: this.#parts.flows,
      acknowledged: this.#acknowledgesFlows,
      capability: this.#capability,
      write: (flows) => this.#writeFlows(flows),
      stop: this.#stop,
      over: this.#over.signal,
    });
    this.#flowsTold = this.#tellFlows(this.#flowSender);
    void this.#tellTelemetry();
  }

  /** A start from the disk may permit what this delta took away, until it could be written. */
  #tellWhenKept({ timeline, index, revision }: NetmapDelta, recovered: Promise<void>): void {
    if (this.#recovering) return;
    this.#recovering = true;
    void recovered.then(() => {
      this.#recovering = false;
      this.#write({ ack: { timeline, index, revision, kept: true } });
    });
  }

  #report(report: Report): void {
    this.#write({ report: reportToWire(report) });
  }

  #writeFlows(flows: pb.FlowBatch): Promise<boolean> {
    const { dropped } = flows;
    if (dropped > 0) {
      this.#parts.logger.warn(
        { event: 'flows-lost', records: dropped },
        'flow records were lost while control was away, or slow',
      );
    }
    return this.#writeAndWait({ flows });
  }

  async #tellFlows(sender: FlowSender): Promise<void> {
    const { telemetry, logger } = this.#parts;
    try {
      await sender.run();
      if (this.#over.signal.aborted) return;
      // The last word: what moved since the word before.
      await this.#tellOnce(telemetry);
      // Stopped, and nothing is left to send: control ends its side when it has read all of it.
      this.#stream.end();
    } catch (err) {
      logger.error({ event: 'flows-not-sent', err }, 'flow records are not being sent');
    }
  }

  /** At once, and then every few seconds: never two that the stream has not taken, for what is not told yet waits where it is counted. */
  async #tellTelemetry(): Promise<void> {
    const { telemetry, logger } = this.#parts;
    const signal = AbortSignal.any([this.#over.signal, this.#stop]);
    try {
      while (!signal.aborted) {
        await this.#tellOnce(telemetry);
        await sleep(telemetry.pauseMs(), undefined, { signal }).catch(() => {});
      }
    } catch (err) {
      logger.error({ event: 'telemetry-not-sent', err }, 'telemetry is not being sent');
    }
  }

  /** One after the other, whoever asks. */
  #tellOnce(source: TelemetrySource): Promise<void> {
    this.#telling = this.#telling.then(async () => {
      if (this.#over.signal.aborted) return;
      const telemetry = await source.take();
      const sent = await this.#writeAndWait({ telemetry: telemetryToWire(telemetry) });
      if (!sent) source.giveBack(telemetry);
    });
    return this.#telling;
  }

  /** Small messages of bounded number: acks and reports replace each other, traces are counted. */
  #write(message: pb.Outgoing<pb.AgentMessage>): void {
    if (!this.#over.signal.aborted) this.#stream.write(message);
  }

  /** Whether the stream took the message before the session was over. */
  #writeAndWait(message: pb.Outgoing<pb.AgentMessage>): Promise<boolean> {
    const { signal } = this.#over;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve(false);
        return;
      }
      const abandoned = () => resolve(false);
      signal.addEventListener('abort', abandoned, { once: true });
      this.#stream.write(message, (error: Error | null | undefined) => {
        signal.removeEventListener('abort', abandoned);
        resolve(error === null || error === undefined);
      });
    });
  }

  #lost(cause: Error): void {
    this.#end({ type: 'lost', served: this.#served, cause });
  }

  #unenforced(cause: Error): void {
    this.#end({ type: 'unenforced', served: this.#served, cause });
  }

  #end(end: ControlStreamEnd): void {
    if (this.#over.signal.aborted) return;
    clearTimeout(this.#challengeTimer);
    this.#stop.removeEventListener('abort', this.#onStop);
    this.#over.abort();
    this.#parts.reporter.disconnect();
    // The stream may still report an error of its own, such as the cancellation; it was told already.
    this.#stream.on('error', () => {});
    this.#stream.cancel();
    void this.#flowsTold.then(() => this.#resolve(end));
  }
}

function heldOf({ reason, retryMs, unknown }: NonNullable<pb.ControlMessage['held']>): Held {
  return { type: 'held', reason: sentence(reason), retryMs: Math.min(retryMs, MOST_HELD_MS), unknown };
}

function clear(timer: NodeJS.Timeout): () => void {
  return () => clearTimeout(timer);
}
