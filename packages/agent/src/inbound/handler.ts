/** A flow that a peer opens here, from its proven key to the program. */
import { setTimeout } from 'node:timers/promises';
import { messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import { Deadline } from '../bytes/deadline.ts';
import { splice } from '../bytes/splice.ts';
import { conversationMs, endingOf, endingWith, type Flow, type Loss } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import { claimName, type DeclaredHere, goneHere, remoteCaller } from '../flows/judge.ts';
import type { Admission, FlowRefusal, FlowRegistry } from '../flows/registry.ts';
import { TunnelEndedError } from '../tunnel/errors.ts';
import type { Inbound, InboundHandler } from '../tunnel/types.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { Opened, OpenRequest, Refusal } from '../words/opening.ts';
import type { TunnelPeer } from '../words/peer.ts';
import type { TargetDialer } from './dial.ts';
import { type HeldDatagrams, joinDatagrams } from './target-datagrams.ts';

export interface FlowHandlerOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly declared: DeclaredHere;
  readonly dialer: TargetDialer;
  readonly held: HeldDatagrams;
  readonly log: Logger;
  readonly idleMs?: number;
}

/** What is not wanted after all. */
type Droppable = Pick<Conduit, 'reset'> | Pick<DatagramConduit, 'close'>;
type Admitted = Extract<Admission, { readonly admitted: true }>;

/** A program that takes no connection for this long is not listening, whatever its socket says. */
const DIAL_MS = 4_000;
/** How long an instance of this host may be known to the source alone: control tells all of it at once. */
const LAG_MS = 500;
const LAG_LOOK_MS = 50;
/** Nobody hears it, but an offer that is not answered counts against its tunnel for good. */
const GIVEN_UP: Refusal = { code: 'no-instance', rule: '', revision: 0, detail: 'the source gave up' };

function hasInstance(netmap: Netmap, { service, ordinal }: OpenRequest): boolean {
  return netmap.services.get(service)?.instances.some((each) => each.ordinal === ordinal) === true;
}

export function createFlowHandler(options: FlowHandlerOptions): InboundHandler {
  const { netmap, registry, declared, dialer, held, log, idleMs } = options;

  /** identify → decide → track → forward → record */
  async function take<C, D extends Droppable>(
    inbound: Inbound<C>,
    open: (admitted: Admitted, deadline: Deadline) => Promise<Opened<D>>,
    join: (flow: Flow, peer: C, dialed: D) => void,
  ): Promise<void> {
    const admission = admit(inbound);
    if (!admission.admitted) {
      inbound.refuse(refusalOf(admission.refusal));
      return;
    }
    await endingWith(admission.flow, carry(inbound, admission, open, join));
  }

  async function carry<C, D extends Droppable>(
    inbound: Inbound<C>,
    admitted: Admitted,
    open: (admitted: Admitted, deadline: Deadline) => Promise<Opened<D>>,
    join: (flow: Flow, peer: C, dialed: D) => void,
  ): Promise<void> {
    const { flow } = admitted;
    const dialed = await dial(flow, inbound, (deadline) => open(admitted, deadline));
    if (dialed === undefined) return;
    if (inbound.gone) {
      // The source gave up, and records that itself.
      drop(dialed);
      flow.handOver();
      flow.end('reset');
      inbound.refuse(GIVEN_UP);
      return;
    }
    const peer = inbound.accept();
    flow.opened();
    join(flow, peer, dialed);
  }

  function joinStreams(flow: Flow, peer: Conduit, dialed: Conduit): void {
    const target = new FlowConduit(dialed, flow, { remote: false, cut: () => peer.reset() });
    splice(peer, target, (result) => {
      if (result.cause instanceof TunnelEndedError) flow.sever();
      flow.end(...endingOf(result));
    });
  }

  function admit({ peer, request }: Inbound<unknown>): Admission {
    const { flowId: id, protocol, service, port, source: claim } = request;
    return registry.open({
      id,
      protocol,
      service,
      port,
      peer: peer.agentId,
      claimed: { source: claimName(claim, peer.host), host: peer.host },
      destinationHost: netmap.current.self?.host ?? '',
      identify: (current) => remoteCaller(current, peer.agentId, claim),
      lost: (current) => lostHere(current, request),
    });
  }

  function lostHere(current: Netmap, { service, ordinal }: OpenRequest): Loss | undefined {
    const gone = goneHere(current, declared, service);
    if (gone !== undefined) return gone;
    const instance = current.services.get(service)?.instances.find((each) => each.ordinal === ordinal);
    if (instance === undefined || instance.agentId === current.self?.agentId) return undefined;
    return { reason: `${service}/${ordinal} runs on another host now`, witness: 'here' };
  }

  /** Nothing is opened for an ordinal that is nowhere; a new one may be known to the source a moment before. */
  async function missing(request: OpenRequest): Promise<Loss | undefined> {
    for (let waited = 0; waited < LAG_MS; waited += LAG_LOOK_MS) {
      await setTimeout(LAG_LOOK_MS);
      if (hasInstance(netmap.current, request)) return undefined;
    }
    return { reason: `there is no ${request.service}/${request.ordinal}`, witness: 'here' };
  }

  /** Undefined when there is nothing to carry; then the peer has its answer and the flow has ended. */
  async function dial<D extends Droppable>(
    flow: Flow,
    inbound: Inbound<unknown>,
    open: (deadline: Deadline) => Promise<Opened<D>>,
  ): Promise<D | undefined> {
    const { request, peer } = inbound;
    const unknown = hasInstance(netmap.current, request) ? undefined : await missing(request);
    const current = netmap.current;
    const loss = unknown ?? lostHere(current, request);
    const refuse = (refusal: Refusal) => {
      // Another instance may still take the flow, so only the source knows how it ends: the record is the source's.
      flow.handOver();
      flow.end(refusal.code, refusal.detail);
      inbound.refuse(refusal);
    };
    const refusal = { rule: '', revision: current.revision };
    if (loss !== undefined) {
      refuse({ ...refusal, code: 'no-instance', detail: loss.reason });
      return undefined;
    }
    flow.reached(`${request.service}/${request.ordinal}`, current.self?.host ?? '');
    const deadline = new Deadline(DIAL_MS);
    inbound.onGone(() => deadline.end(new Error(`${peer.host} gave up`)));
    flow.onCut((reason) => deadline.end(new Error(reason)));
    const step = flow.span?.step('target.dial', `${request.service}/${request.ordinal}`, current.self?.host ?? '');
    try {
      const opened = await open(deadline);
      step?.end(opened);
      if (!flow.live) {
        // Cut while it was dialled; the record says so.
        if (opened.opened) drop(opened.conduit);
        inbound.refuse({ ...refusal, code: 'denied', detail: 'cut while it was opened' });
        return undefined;
      }
      if (opened.opened) return opened.conduit;
      refuse(opened.refusal);
    } catch (cause) {
      const detail = messageOf(cause);
      step?.end({ opened: false, refusal: { code: 'not-listening', detail } });
      if (flow.live) refuse({ ...refusal, code: 'not-listening', detail });
      else inbound.refuse({ ...refusal, code: 'denied', detail });
    } finally {
      deadline.close();
    }
    return undefined;
  }

  /** A flow of one peer that goes wrong in an unforeseen way is its own end, not the agent's. */
  function contained(peer: TunnelPeer, work: Promise<void>): void {
    work.catch((cause: unknown) => {
      log.error({ event: 'inbound-flow-failed', peer: peer.host, err: cause }, 'a flow from a peer failed');
    });
  }

  return {
    stream: (inbound) =>
      contained(
        inbound.peer,
        take(inbound, ({ permit, caller }, deadline) => dialer.stream(permit, caller, deadline), joinStreams),
      ),
    datagrams: (inbound) =>
      contained(
        inbound.peer,
        take(
          inbound,
          ({ flow, permit, caller }, deadline) =>
            dialer.datagrams(permit, caller, deadline, (detail) => flow.end('not-listening', detail)),
          (flow, peer, dialed) =>
            joinDatagrams(
              flow,
              peer,
              dialed,
              conversationMs(inbound.request.port, idleMs),
              held,
              inbound.request.service,
            ),
        ),
      ),
  };
}

function drop(conduit: Droppable): void {
  if ('reset' in conduit) conduit.reset();
  else conduit.close();
}

function refusalOf({ code, rule, revision, reason }: FlowRefusal): Refusal {
  return { code, rule: code === 'denied' ? rule : '', revision, detail: reason };
}
