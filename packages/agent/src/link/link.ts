/** The lifeline to control: one session after another, until the agent stops. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, fullMessageOf, parseHostPort } from '@weft/proto';
import { AgentClient, agentService, callDuplex, pinnedCredentials } from '@weft/proto/wire';
import { sourceTowards, watchAddresses } from '../bytes/address-watch.ts';
import { channelOptions } from '../member/channel.ts';
import { AddressRound } from './addresses.ts';
import { type ControlStreamParts, runControlStream } from './control-stream.ts';
import { type ControlStreamEnd, type Held, Retry, type RetryLimits } from './retry.ts';

export interface LinkOptions extends Omit<ControlStreamParts, 'served'> {
  /** Where control is looked for, HOST:PORT, in the order to try. */
  readonly addresses: () => readonly string[];
  readonly limits: RetryLimits;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  readonly now: () => number;
  /** Control answers and its word is enforced. Told at each new session. */
  readonly connected: (address: string) => void;
  /**
   * Control is not there any more. Told once for each session, and for each that did not come about; `why` of each address that was tried since. Not told
   * while control refuses this agent at one address and is not to be had at another.
   */
  readonly disconnected: (cause: Error, why: string) => void;
  /** Control took the membership back. Told each time it says so. */
  readonly revoked: (reason: string) => Promise<void>;
  /** Control does not serve this agent for now. Told each time it says so. */
  readonly held: (held: Held) => Promise<void>;
}

/** A silent network must be noticed: control is asked every 10 s, and has 5 s to answer. */
const LIFELINE = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  // Reconnection is this file's: it picks the address and knows what ended the session.
  'grpc.enable_retries': 0,
};

/** Holds the link until the signal is aborted. Resolves then; never rejects for what control or the network does. */
export async function runLink(options: LinkOptions, signal: AbortSignal): Promise<void> {
  const { store, logger } = options;
  const retry = new Retry(options.limits, options.random);
  const round = new AddressRound(options.addresses);
  /** Why what control said last could not be enforced; empty where it was not that. */
  let unenforced = '';
  /** Where control answers and does not serve this agent: that it is not to be had elsewhere is no news then. */
  let refusedAt: string | undefined;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const address = round.next();
    const end = await runOnce(
      address,
      {
        ...options,
        connected: (at) => {
          round.served(at);
          refusedAt = undefined;
          options.connected(at);
        },
      },
      signal,
    );
    store.markStale(options.now());
    if (signal.aborted) return;
    // Another address may do at once where one is of before a move.
    const delayMs =
      end.type === 'lost' && !end.served && !round.over ? options.limits.minimumMs : retry.delayAfter(end);
    if (end.type === 'revoked' || end.type === 'held') {
      refusedAt = address;
      round.answered(address);
    }
    if (end.type === 'revoked') {
      logger.error(
        { event: 'membership-revoked', reason: end.reason },
        'control took the membership of this agent back',
      );
      await options.revoked(end.reason);
    } else if (end.type === 'held') {
      await options.held(end);
    } else {
      const cause = fullMessageOf(end.cause);
      // Said once for each break: a control that is down for a night shall not fill the log.
      const first = end.served || attempt === 0;
      if (end.type === 'lost') {
        const level = first ? 'warn' : 'debug';
        logger[level]({ event: 'control-lost', address, delayMs, cause }, 'no connection to control; trying again');
      } else {
        const level = first || cause !== unenforced ? 'error' : 'debug';
        logger[level](
          { event: 'change-not-enforced', address, delayMs, cause },
          'this agent could not enforce in full what control said; it comes back to control for all of it',
        );
      }
      unenforced = end.type === 'unenforced' ? cause : '';
      round.failed(address, end.cause);
      const stands = refusedAt !== undefined && refusedAt !== address && options.addresses().includes(refusedAt);
      if (!stands) {
        refusedAt = undefined;
        options.disconnected(end.cause, round.why);
      }
    }
    // Rejects with the signal, and that is the loop's end.
    await sleep(delayMs, undefined, { signal }).catch(() => {});
  }
}

async function runOnce(address: string, options: LinkOptions, signal: AbortSignal): Promise<ControlStreamEnd> {
  let client: AgentClient | undefined;
  const over = new AbortController();
  try {
    const credentials = await pinnedCredentials(address, options.membership.pin, signal);
    client = new AgentClient(address, credentials, { ...channelOptions, ...LIFELINE });
    const served = () => {
      options.store.markFresh();
      options.logger.info({ event: 'control-connected', address }, 'connected to control');
      options.connected(address);
    };
    const stream = callDuplex(client, agentService.connect);
    // Of a name only the channel knows which address it took. Until control says a word, the challenge's time ends what hangs.
    let from: string | undefined;
    stream.once('metadata', () => {
      const peer = parseHostPort(stream.getPeer());
      if (peer !== undefined) from = sourceTowards(peer);
    });
    watchAddresses((gone) => {
      if (from === undefined || !gone.has(from)) return;
      stream.destroy(new Error(`this host has lost the address ${from}`));
      stream.cancel();
    }, over.signal);
    return await runControlStream(stream, { ...options, served }, signal);
  } catch (error) {
    return { type: 'lost', served: false, cause: asError(error) };
  } finally {
    over.abort();
    client?.close();
  }
}
