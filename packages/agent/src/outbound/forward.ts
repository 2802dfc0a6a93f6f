/**
 * Brings a permitted flow to an instance: one after the other until one takes it, within a total time that a caller can
 * bear. What the program says meanwhile is kept, so that nothing is lost on an instance that did not take it, and goes along only to the
 * last that is left to try: no other may do the same work again.
 */
import { type FlowOutcome, messageOf, OUTCOMES, type Permit } from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import { newFlowId } from '../flows/flow.ts';
import { type Caller, type DeclaredHere, goneHere, localCaller, type Outside, ownClaimName } from '../flows/judge.ts';
import type { Flow, FlowRefusal, FlowRegistry, FlowRequest, Loss } from '../flows/registry.ts';
import type { TargetDialer } from '../inbound/dial.ts';
import { afterCut } from '../tunnel/after-cut.ts';
import { FlowCutError, UnansweredError, UnreachableError } from '../tunnel/errors.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { EarlyData, FlowTarget, Opened, PeerRefusal, SourceClaim } from '../words/opening.ts';
import type { Call } from './call.ts';
import type { Candidate, Chooser } from './choose.ts';
import type { Speaker } from './speakers.ts';

export type Admitted =
  | { readonly admitted: true; readonly out: OutboundFlow }
  /** Already recorded. */
  | { readonly admitted: false; readonly refusal: FlowRefusal };

export interface AdmitterOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly declared: DeclaredHere;
}

/** In a record, what is called by a call that leaves the mesh; no service has that name. */
const OUTSIDE = 'internet';

export class Admitter {
  readonly #options: AdmitterOptions;

  constructor(options: AdmitterOptions) {
    this.#options = options;
  }

  /** A call by a program of this host, and what it speaks as. `full` says why there is no room for it, if so. */
  local(call: Call, speaker: Speaker, full?: string): Admitted {
    return this.#admit(call, speaker, full);
  }

  /** A call from the internet through this host's gateway. */
  internet(call: Call, clientAddress: string, full?: string): Admitted {
    return this.#admit(call, { claim: { type: 'internet', address: clientAddress } }, full);
  }

  /** A program's call that leaves the mesh. Undefined where it is refused, and recorded. */
  outside(call: Pick<Call, 'port' | 'protocol'>, speaker: Speaker, outside: Outside, full?: string): Flow | undefined {
    const request = this.#request({ ...call, service: OUTSIDE }, speaker, full);
    const admission = this.#options.registry.openOutside({ ...request, outside });
    return admission.admitted ? admission.flow : undefined;
  }

  #request(
    { service, port, protocol }: Omit<Call, 'ordinal'>,
    { claim, owner, holds }: Speaker,
    full: string | undefined,
  ): FlowRequest {
    const { netmap, declared } = this.#options;
    const host = netmap.current.self?.host ?? '';
    return {
      id: newFlowId(),
      protocol,
      service,
      port,
      claimed: { source: ownClaimName(claim, host), host },
      identify: (current) => (holds?.(current) === false ? undefined : localCaller(current, declared, claim)),
      full,
      owner,
    };
  }

  #admit(call: Call, speaker: Speaker, full?: string): Admitted {
    const { ordinal } = call;
    const { claim } = speaker;
    const admission = this.#options.registry.open(this.#request(call, speaker, full));
    if (!admission.admitted) return admission;
    const { flow, permit, caller } = admission;
    return { admitted: true, out: { flow, permit, caller, claim, ordinal } };
  }
}

export interface ForwarderOptions {
  readonly netmap: NetmapSource;
  readonly declared: DeclaredHere;
  readonly tunnels: Pick<Tunnels, 'openStream' | 'openDatagrams'>;
  readonly dialer: TargetDialer;
  readonly chooser: Chooser;
  /** All tries together; the program is promised an answer within 5 s where nothing is heard of whom it calls. */
  readonly totalMs?: number;
}

/** A flow on its way out: admitted, and so with a permit. */
export interface OutboundFlow {
  readonly flow: Flow;
  readonly permit: Permit;
  readonly caller: Caller;
  readonly claim: SourceClaim;
  /** The one instance asked for; undefined leaves the choice. */
  readonly ordinal: number | undefined;
}

/** Where a flow got to. `remote` when its bytes leave through a tunnel. */
export interface Forwarded<C> {
  readonly conduit: C;
  readonly remote: boolean;
  /** Bytes of the early data that got there. */
  readonly early: number;
}

/** Of several tries in vain, the one that the record tells. */
interface Told {
  readonly outcome: FlowOutcome;
  readonly detail: string;
  readonly instance: string;
  readonly host: string;
}

/** All tries together, where the agent of the last instance is heard all the while: on a slow way each answer waits behind bulk. */
const HEARD_MS = 15_000;

/** What was taken already of the time for all tries counts as so many ms or a multiple: deadlines of one length share a timer. */
const TOOK_STEP_MS = 100;

const GAVE_UP = 'the caller gave up';

type Attempt<C> = (
  candidate: Candidate,
  target: FlowTarget,
  deadline: Deadline,
  last: boolean,
) => Promise<Opened<C, PeerRefusal>>;

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #totalMs: number;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#totalMs = options.totalMs ?? 4_500;
  }

  /**
   * Undefined when no instance took the flow, it was cut, or the caller gave up; then it has ended and is recorded, here or
   * by the destination that denied it. `caller`: how long who asks for it waits; `data`: what the caller says meanwhile; `tookMs`: since it called.
   */
  stream(out: OutboundFlow, caller?: Deadline, data?: EarlyData, tookMs = 0): Promise<Forwarded<Conduit> | undefined> {
    const { tunnels, dialer } = this.#options;
    return this.#forward<Conduit>(
      out,
      caller,
      (conduit) => conduit.reset(),
      ({ local }, target, deadline, last) =>
        local
          ? dialer.stream(out.permit, out.caller, deadline)
          : tunnels.openStream(out.permit, target, deadline, last ? data : undefined),
      tookMs,
    );
  }

  /** As `stream`, for UDP. */
  datagrams(out: OutboundFlow): Promise<Forwarded<DatagramConduit> | undefined> {
    const { tunnels, dialer } = this.#options;
    const refused = (detail: string) => out.flow.end('not-listening', detail);
    return this.#forward<DatagramConduit>(
      out,
      undefined,
      (conduit) => conduit.close(),
      ({ local }, target, deadline) =>
        local
          ? dialer.datagrams(out.permit, out.caller, deadline, refused)
          : tunnels.openDatagrams(out.permit, target, deadline),
    );
  }

  /** Whether another instance might take the flow than the one that has it. */
  hasOthers({ permit, ordinal }: OutboundFlow): boolean {
    const { name } = permit.destination.service;
    const instances = this.#options.netmap.current.services.get(name)?.instances ?? [];
    return ordinal === undefined && instances.filter(({ healthy }) => healthy).length > 1;
  }

  async #forward<C>(
    out: OutboundFlow,
    caller: Deadline | undefined,
    drop: (conduit: C) => void,
    open: Attempt<C>,
    tookMs = 0,
  ): Promise<Forwarded<C> | undefined> {
    const leftMs = Math.max(0, this.#totalMs - TOOK_STEP_MS * Math.ceil(tookMs / TOOK_STEP_MS));
    const deadline = caller?.part(leftMs, HEARD_MS) ?? new Deadline(leftMs, HEARD_MS);
    out.flow.onCut((reason) => deadline.end(new FlowCutError(reason)));
    try {
      return await this.#tryEach(out, deadline, caller, drop, open);
    } finally {
      deadline.close();
    }
  }

  async #tryEach<C>(
    out: OutboundFlow,
    deadline: Deadline,
    caller: Deadline | undefined,
    drop: (conduit: C) => void,
    open: Attempt<C>,
  ): Promise<Forwarded<C> | undefined> {
    const { flow, permit, ordinal, claim } = out;
    const { service, port, protocol } = permit.destination;
    const candidates = this.#options.chooser.candidates(this.#options.netmap.current, {
      service: service.name,
      ordinal,
      port,
      protocol,
    });
    flow.span?.chosen(candidates.length);
    const none = candidates.length === 0 ? `no instance of ${service.name} is healthy` : '';
    let tried = 0;
    let told: Told = { outcome: 'no-instance', detail: none, instance: '', host: '' };
    for (const [index, candidate] of candidates.entries()) {
      const { host, local } = candidate;
      const { agentId, ordinal: asked } = candidate.instance;
      const instance = `${service.name}/${asked}`;
      const { remaining } = deadline;
      if (remaining <= 0) {
        if (index === 0) told = { ...told, outcome: 'unreachable', detail: 'no time was left to reach an instance' };
        break;
      }
      // Said before it is asked, for it may come to tell of this flow too: control sees by this that both speak of one.
      flow.reached(instance, host);
      const target = { agentId, flowId: flow.id, ordinal: asked, source: claim };
      // An even share for each that is left; what a quick one leaves over goes to the next, and the last has the rest.
      const left = candidates.length - index;
      const share = left === 1 ? deadline : deadline.part(Math.max(remaining / left, Math.min(remaining, 1_000)));
      const step = flow.span?.step(local ? 'target.dial' : 'tunnel.open', instance, host);
      const result = await attempt(open(candidate, target, share, left === 1));
      if (share !== deadline) share.close();
      step?.end(result);
      if (!result.opened) flow.bytesSent += result.early;
      if (!flow.live) {
        if (result.opened) dropCut(local, () => drop(result.conduit));
        return undefined;
      }
      if (caller?.over === true) {
        if (result.opened) {
          // The destination took it before it could hear of that: it has a record of its own, and tells.
          if (!local) flow.handOver();
          drop(result.conduit);
        }
        flow.end('reset', GAVE_UP);
        return undefined;
      }
      if (result.opened) {
        const lost = local ? this.#lostHere(out) : lostThere(candidate);
        flow.reached(instance, host, lost);
        // What changed while it opened was not asked about this instance; from here on each change is.
        const loss = lost(this.#options.netmap.current);
        if (!local && loss?.witness !== 'here') flow.handOver();
        if (loss === undefined) {
          flow.opened();
          return { conduit: result.conduit, remote: !local, early: result.early ?? 0 };
        }
        dropCut(local, () => drop(result.conduit));
        flow.end('cut', loss.reason);
        return undefined;
      }
      tried++;
      const { refusal } = result;
      if (result.lost) {
        // Its program may have what was said, and only this host is left to tell.
        flow.sever();
        flow.end('reset', refusal.detail);
        return undefined;
      }
      if (refusal.code === 'denied') {
        // The destination's word is final, and recorded there: another instance is held to the same policy.
        if (!local) flow.handOver();
        flow.end('denied', refusal.detail);
        return undefined;
      }
      if (OUTCOMES[refusal.code].telling >= OUTCOMES[told.outcome].telling) {
        told = { outcome: refusal.code, detail: `${instance} on ${host}: ${refusal.detail}`, instance, host };
      }
    }
    flow.reached(told.instance, told.host);
    if (caller?.over === true) flow.end('reset', GAVE_UP);
    else flow.end(told.outcome, tried > 1 ? `${told.detail}; ${tried} instances were tried` : told.detail);
    return undefined;
  }

  #lostHere({ permit }: OutboundFlow): (netmap: Netmap) => Loss | undefined {
    const { name } = permit.destination.service;
    return (netmap) => goneHere(netmap, this.#options.declared, name);
  }
}

/** What a flow through a tunnel stands on, besides its permission. */
function lostThere({ instance, host }: Candidate): (netmap: Netmap) => Loss | undefined {
  const { service, ordinal, agentId } = instance;
  return (netmap) => {
    // Nobody hears the records of an agent whose membership has ended.
    if (!netmap.peers.has(agentId)) return { reason: whyNoPeer(netmap, agentId, host), witness: 'here' };
    const there = netmap.services.get(service)?.instances;
    if (there?.some((other) => other.ordinal === ordinal && other.agentId === agentId) === true) return undefined;
    return { reason: `${service}/${ordinal} is gone from ${host}`, witness: 'destination' };
  };
}

/** With its membership a host's instances go too, and that is all that others are told of it. */
function whyNoPeer({ services }: Netmap, agentId: string, host: string): string {
  for (const { instances } of services.values())
    if (instances.some((one) => one.agentId === agentId))
      return `nothing may pass between this host and ${host} any more`;
  return `${host} was revoked and is no member of the network any more, or runs nothing more that this host may reach`;
}

function dropCut(local: boolean, drop: () => void): void {
  if (local) drop();
  else afterCut(drop);
}

/** A failed try, in the words of a refusal. `unreachable` and `unanswered` are never a peer's answer, only the lack of one. */
type Failure = Omit<PeerRefusal, 'code'> & { readonly code: PeerRefusal['code'] | 'unreachable' | 'unanswered' };
type Attempted<C> =
  | { readonly opened: true; readonly conduit: C; readonly early?: number }
  /** `early`: bytes of the early data that may have got there; `lost` when the tunnel ended behind them. */
  | { readonly opened: false; readonly refusal: Failure; readonly early: number; readonly lost: boolean };

async function attempt<C>(opening: Promise<Opened<C, PeerRefusal>>): Promise<Attempted<C>> {
  try {
    const result = await opening;
    return result.opened ? result : { ...result, early: 0, lost: false };
  } catch (cause) {
    const { early, why } = cause instanceof UnansweredError ? cause : { early: 0, why: undefined };
    const refusal = { code: codeOf(cause), rule: '', revision: 0, detail: messageOf(cause) };
    return { opened: false, refusal, early, lost: why === 'lost' };
  }
}

function codeOf(cause: unknown): Failure['code'] {
  if (cause instanceof UnreachableError && cause.code === 'no-file') return 'overloaded';
  return cause instanceof UnansweredError && cause.why === 'slow' ? 'unanswered' : 'unreachable';
}
