/** Whether control is there, asked without a word of who asks: its first message, which it says to everybody who knows its key. */
import { capabilityOf } from '@weft/proto';
import { AgentClient, agentService, callDuplex, isServiceError, type pb, pinnedCredentials } from '@weft/proto/wire';
import { channelOptions } from './channel.ts';

const ANSWER_MS = 5_000;

export interface ControlSeen {
  /** From the question to its answer, milliseconds. */
  readonly tookMs: number;
  /** How far control's clock is ahead of this host's, milliseconds; undefined of a control that does not say. */
  readonly aheadMs: number | undefined;
  /** What control understands. */
  readonly capability: number;
}

/** Rejects with ControlUnreachableError, PinMismatchError, or what gRPC says. `now`: this host's clock. */
export async function lookAtControl(
  address: string,
  pin: Uint8Array,
  now: () => number,
  signal: AbortSignal,
): Promise<ControlSeen> {
  const credentials = await pinnedCredentials(address, pin, signal);
  const client = new AgentClient(address, credentials, channelOptions);
  try {
    // The time that the connection takes is no part of the way that the answer takes.
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + ANSWER_MS, (error) => (error === undefined ? resolve() : reject(error)));
    });
    const began = performance.now();
    const { sentMs, capability } = await challenge(client, signal);
    const tookMs = performance.now() - began;
    const aheadMs = sentMs === 0 ? undefined : Math.round(sentMs + tookMs / 2 - now());
    return { tookMs, aheadMs, capability: capabilityOf(capability) };
  } finally {
    client.close();
  }
}

function challenge(client: AgentClient, signal: AbortSignal): Promise<pb.Challenge> {
  return new Promise((resolve, reject) => {
    const stream = callDuplex(client, agentService.connect, { signal, deadlineMs: ANSWER_MS });
    const end = (settle: () => void) => {
      settle();
      stream.cancel();
    };
    stream.on('error', (error) =>
      end(() => reject(isServiceError(error) ? new Error(error.details, { cause: error }) : error)),
    );
    stream.on('end', () => end(() => reject(new Error('it ended the connection without a word'))));
    stream.on('data', ({ challenge }: pb.ControlMessage) => {
      if (challenge) end(() => resolve(challenge));
      else end(() => reject(new Error('what it said first is no challenge')));
    });
  });
}
