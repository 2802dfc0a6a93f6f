/** What control's word does to a running agent: fresh or stale, member or not, and back again. */
import { randomBytes } from 'node:crypto';
import { type AddressRange, messageOf, type OpenFlows, type OpenFlowsQuestion, VERSION } from '@weft/proto';
import { PinMismatchError } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { Deadline } from '../bytes/deadline.ts';
import type { FlowRecorder } from '../flows/recorder.ts';
import { controlAddresses } from '../link/addresses.ts';
import type { TelemetrySource } from '../link/control-stream.ts';
import { runLink } from '../link/link.ts';
import type { ReportSender } from '../link/report-sender.ts';
import { CONTROL_RETRY } from '../link/retry.ts';
import { PlaceTries } from '../link/try-places.ts';
import { type Enrolment, type KeptMembership, type MembershipRequest, rejoin } from '../member/membership.ts';
import type { NetmapKeeper } from '../member/persist.ts';
import type { NetmapStore } from '../netmap/store.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { Problems } from '../words/problems.ts';

/** How the agent stands with control, for `weft status`. */
export interface ControlState {
  /** Why control is not heard; empty while it is. */
  cause: string;
  /** HOST:PORT where it was heard last; empty when not yet. */
  address: string;
  revoked: boolean;
}

export interface ControlParts {
  /** With what this host joined, or would join again. */
  readonly request: MembershipRequest;
  readonly member: Enrolment;
  readonly membership: Pick<KeptMembership, 'current' | 'keep'>;
  readonly store: NetmapStore;
  /** This agent's VIPs. */
  readonly range: AddressRange;
  readonly keeper: NetmapKeeper;
  /** Nothing is kept, as something was taken away that could not be written. */
  readonly putAway: boolean;
  readonly reporter: ReportSender;
  readonly seen: (observedHost: string) => void;
  readonly recorder: FlowRecorder;
  readonly telemetry: TelemetrySource;
  readonly tunnels: Pick<Tunnels, 'ping' | 'lookAt'>;
  readonly openFlows: (asked: OpenFlowsQuestion) => Promise<OpenFlows>;
  readonly problems: Problems;
  readonly logger: Logger;
  /** Kept up to date here. */
  readonly control: ControlState;
}

export interface Following {
  /** Resolves once there is a netmap to serve, be it kept or new. */
  readonly known: Promise<void>;
  /** Resolves when the membership was lost and a new one stands in the directory. */
  readonly rejoined: Promise<void>;
  /** Resolves after the signal, when the last flows were sent. */
  readonly ended: Promise<void>;
}

const PUT_AWAY =
  'what was kept of the network was put out of the way before this start, for what came after it could not be written to the disk and may permit less';
/** Shorter than control waits for what comes of it. */
const DIAL_MS = 3_000;

/** HOST:PORT of the peer, by a tunnel made from here: there it has proved its key. */
async function whereDialled(tunnels: Pick<Tunnels, 'lookAt'>, agentId: string, ending: AbortSignal): Promise<string> {
  const deadline = new Deadline(DIAL_MS);
  const stop = () => deadline.end(new Error('the stream to control ended'));
  ending.addEventListener('abort', stop, { once: true });
  try {
    return (await tunnels.lookAt(agentId, true, deadline)).address;
  } finally {
    ending.removeEventListener('abort', stop);
    deadline.close();
  }
}

/** Holds the link to control until the signal is aborted. */
export function followControl(parts: ControlParts, signal: AbortSignal): Following {
  const { logger, member, store, keeper, reporter, recorder, tunnels, problems, control } = parts;
  const { network, host } = member.membership;
  const addresses = () => placesOfControl(parts);
  const known = Promise.withResolvers<void>();
  const rejoined = Promise.withResolvers<void>();
  if (store.current.self !== undefined) known.resolve();
  const waits = `waits for control at ${addresses().join(', ')}`;
  let revokedAs = host;
  const tellRevoked = (why: string) => {
    revokedAs = parts.membership.current.host;
    const message = `${revokedAs} is no member of network ${network} any more: ${why}; start weft up again with a new join token to come back`;
    problems.raise({ code: 'membership-revoked', subject: revokedAs, message });
  };
  if (control.revoked) tellRevoked(`control said so before this agent was started, which ${waits}`);
  const keepMembership = async (revoked: boolean) => {
    control.revoked = revoked;
    await parts.membership.keep({ revoked });
  };
  const tries = new PlaceTries((agentId, ending) => whereDialled(tunnels, agentId, ending));
  const ended = runLink(
    {
      ...member,
      addresses,
      store,
      keeper,
      reporter,
      seen: parts.seen,
      flows: recorder,
      telemetry: parts.telemetry,
      trace: (agentId, deadline) => tunnels.ping(agentId, deadline),
      openFlows: parts.openFlows,
      tryPlaces: (agentId, places, signal) => tries.try(store.current, agentId, places, signal),
      run: new Uint8Array(randomBytes(8)),
      version: VERSION,
      logger,
      limits: CONTROL_RETRY,
      random: Math.random,
      now: Date.now,
      connected: (address) => {
        control.cause = '';
        control.address = address;
        known.resolve();
        for (const code of ['held-off', 'control-changed', 'no-netmap']) problems.clear(code, host);
        if (!control.revoked) return;
        problems.clear('membership-revoked', revokedAs);
        keeper.resume();
        void keepMembership(false);
      },
      disconnected: (cause, why) => {
        control.cause = why;
        // Since when it is stale is part of what is kept.
        keeper.changed();
        // What control said last is not what keeps it away now.
        problems.clear('held-off', host);
        if (cause instanceof PinMismatchError) {
          problems.raise({ code: 'control-changed', subject: host, message: cause.message });
        } else if (store.current.self === undefined && !control.revoked) {
          const none = parts.putAway ? PUT_AWAY : `nothing of network ${network} is kept on this host's disk`;
          const message = `${none}, so that no name of it is answered; this agent ${waits}`;
          problems.raise({ code: 'no-netmap', subject: host, message });
        }
      },
      held: async ({ reason, unknown }) => {
        control.cause = reason;
        keeper.changed();
        if (unknown && member.membership.ephemeral && (await joinAgain(parts, signal))) {
          rejoined.resolve();
          return;
        }
        problems.clear('control-changed', host);
        const message = `control does not serve this host, which goes on with what it knows: ${reason}`;
        problems.raise({ code: 'held-off', subject: host, message });
      },
      revoked: async (reason) => {
        control.cause = reason;
        for (const code of ['held-off', 'control-changed', 'no-netmap']) problems.clear(code, host);
        if (store.current.self !== undefined) forget(store, logger);
        await keeper.remove();
        await keepMembership(true);
        if (await joinAgain(parts, signal)) {
          rejoined.resolve();
          return;
        }
        tellRevoked(reason);
      },
    },
    signal,
  ).then(() => {
    // What was dropped before, and no batch told of, is lost as well, and nobody else will say so.
    const { queued, untold } = recorder.counters;
    const records = queued + untold;
    if (records > 0) logger.warn({ event: 'flows-lost', records }, 'control did not take the last flow records');
  });
  return { known: known.promise, rejoined: rejoined.promise, ended };
}

/** HOST:PORT each, in the order to try, as it is known now. Control is known by its key: at a wrong one nothing is told to anybody. */
export function placesOfControl({
  request,
  member,
  store,
  range,
}: Pick<ControlParts, 'request' | 'member' | 'store' | 'range'>) {
  const told = store.controlAddresses;
  return controlAddresses({ named: request.control, told, joined: member.membership.controlAddresses }, range);
}

/** The membership is over: tunnels, flows and names go. Names outside the network are still forwarded. */
function forget(store: NetmapStore, logger: Logger): void {
  const failed = (err: unknown) =>
    logger.error({ event: 'netmap-not-enforced', err }, 'the network could not be left in full');
  try {
    // Not waited for: keys must leave the disk whatever a worker does.
    store.clear().elsewhere?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/**
 * A laptop that slept was forgotten, if its token was ephemeral; a token that is still good lets it back in. Whether it is
 * good is control's to say: one from before an operator's revocation is not.
 */
async function joinAgain({ request, member, logger }: ControlParts, signal: AbortSignal): Promise<boolean> {
  const { token } = request;
  if (token === undefined) return false;
  try {
    await rejoin({ ...request, token, keys: member.keys }, signal);
    return true;
  } catch (error) {
    const reason = messageOf(error);
    logger.warn({ event: 'not-joined-again', reason }, 'the join token does not let this host back in');
    return false;
  }
}

/** What of the netmap is kept on disk. */
export function keptNetmap(store: NetmapStore) {
  const heardMs = store.staleSinceMs ?? Date.now();
  return { position: store.position, encoded: store.encoded, heardMs };
}
