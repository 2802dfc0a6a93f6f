/**
 * The flows that are open in a network, asked of its agents as somebody lists them: control holds none. A flow is told by the
 * agent that will record it, which is its destination's once it got there, so that each is told once and nothing need be
 * joined. What a destination's agent cannot tell, the sources' are asked for in a second round.
 */
import {
  byText,
  type OpenFlowFilter,
  type OpenFlows,
  type OpenFlowsState,
  TELLS_OPEN_FLOWS,
  WIRE_LIMITS,
} from '@weft/proto';
import type { Actor } from '../audit/types.ts';
import type { LiveAgents } from '../fleet/live.ts';
import type { OpenFlowsAsker } from '../fleet/questions.ts';
import { FlowsError } from '../flows/errors.ts';
import type { AgentState, NetworkState } from '../state/types.ts';
import { RolePlaces } from './role-places.ts';

/** Agents asked for one page, all at once. */
const ASKED = 16;
/** Pages at once: so many answers may stand in memory. Who asks for more waits: page by page, so that several who list all take turns. */
const PAGES = { read: 6, admin: 2 };
const ANSWER_MS = 2_000;
/** Characters of names in one page; an agent at its bounds has as many alone. */
const CHARACTERS = 500_000;

/** What one host tells. */
export interface HostOpenFlows extends OpenFlows {
  readonly host: string;
  readonly state: OpenFlowsState;
}

/** 0, and 1 for the second round; and the host that was asked last. */
export type OpenFlowsPlace = readonly [round: number, host: string];

export interface OpenFlowsPage {
  readonly hosts: readonly HostOpenFlows[];
  /** Where the next page goes on from; undefined when there is none. */
  readonly next: OpenFlowsPlace | undefined;
}

export interface OpenFlowsOptions {
  readonly live: LiveAgents;
  readonly asker: OpenFlowsAsker;
  readonly answerMs?: number;
}

export class OpenFlowsWalk {
  readonly #options: OpenFlowsOptions;
  /** Agents that did not answer when they were asked last, by id. */
  readonly #silent = new Set<string>();
  /** A state of a network never changes: it is put in order once. */
  readonly #byHost = new WeakMap<NetworkState, readonly AgentState[]>();
  readonly #pages = new RolePlaces(PAGES);

  constructor(options: OpenFlowsOptions) {
    this.#options = options;
  }

  /** At most `size` hosts. Rejects with FlowsError `busy` or the signal's reason. */
  async page(
    network: NetworkState,
    filter: OpenFlowFilter,
    after: OpenFlowsPlace,
    size: number,
    role: Actor['role'],
    signal: AbortSignal,
  ): Promise<OpenFlowsPage> {
    const refused = (waiting: number) =>
      new FlowsError(
        'busy',
        `${waiting} questions for open flows wait already with the ${role} token, and no more may; end some of those that ask, or ask again later`,
      );
    return await this.#pages.inTurn(role, refused, signal, () =>
      after[0] === 0 ? this.#first(network, filter, after[1], size) : this.#second(network, filter, after[1], size),
    );
  }

  /** Every host, with what its agent will record. */
  async #first(network: NetworkState, filter: OpenFlowFilter, after: string, size: number): Promise<OpenFlowsPage> {
    if (after === '') this.#forgetGone();
    const rest = this.#after(network, after);
    const taken = this.#upTo(ASKED, rest.slice(0, size));
    const asked = taken.map((agent) => this.#ask(agent, { filter, most: WIRE_LIMITS.openFlows }));
    const hosts = withinBounds(await Promise.all(asked));
    const last = hosts.at(-1)?.host;
    if (last !== undefined && hosts.length < rest.length) return { hosts, next: [0, last] };
    return { hosts, next: this.#untold(network).size > 0 ? [1, ''] : undefined };
  }

  /** What was handed over to those who could not tell. A host that has nothing to add is left out, one that does not answer is not. */
  async #second(network: NetworkState, filter: OpenFlowFilter, after: string, size: number): Promise<OpenFlowsPage> {
    const untold = this.#untold(network);
    const rest = this.#after(network, after).filter(({ host }) => !untold.has(host));
    if (untold.size === 0 || rest.length === 0) return { hosts: [], next: undefined };
    const handedOverTo = untold.size > WIRE_LIMITS.openFlowHosts ? [] : [...untold];
    const taken = rest.slice(0, Math.min(ASKED, size));
    const asked = taken.map((agent) => this.#ask(agent, { filter, handedOverTo, most: WIRE_LIMITS.openFlows }));
    const answers = withinBounds(await Promise.all(asked));
    const last = answers.at(-1)?.host;
    const hosts = answers.flatMap(({ flows, ...host }) => {
      const told = flows.filter(({ destinationHost }) => untold.has(destinationHost));
      // Where all handed over were asked for, how many of the others matter here is not known.
      const omitted = handedOverTo.length === 0 ? 0 : host.omitted;
      return told.length === 0 && omitted === 0 && host.state === 'told' ? [] : [{ ...host, flows: told, omitted }];
    });
    return { hosts, next: last === undefined || answers.length === rest.length ? undefined : [1, last] };
  }

  async #ask(agent: AgentState, question: Parameters<OpenFlowsAsker['openFlows']>[1]): Promise<HostOpenFlows> {
    const { asker, answerMs = ANSWER_MS } = this.#options;
    const { id, host } = agent;
    const state = this.#stateOf(agent);
    const nothing = { host, flows: [], omitted: 0 };
    if (state !== 'told') return { ...nothing, state };
    const answer = await asker.openFlows(id, question, answerMs);
    if (answer === undefined) {
      this.#silent.add(id);
      return { ...nothing, state: 'no-answer' };
    }
    this.#silent.delete(id);
    // It speaks for its own host and no other.
    const flows = answer.flows.filter((flow) => flow.sourceHost === host || flow.destinationHost === host);
    return { host, state, flows, omitted: answer.omitted };
  }

  #stateOf({ id }: AgentState): OpenFlowsState {
    const live = this.#options.live.agent(id);
    if (live?.connected !== true) return 'not-connected';
    return live.capability < TELLS_OPEN_FLOWS ? 'older' : 'told';
  }

  /** Hosts whose agents cannot tell. */
  #untold({ agents }: NetworkState): ReadonlySet<string> {
    const untold = [...agents.values()].filter(
      (agent) => this.#stateOf(agent) !== 'told' || this.#silent.has(agent.id),
    );
    return new Set(untold.map(({ host }) => host));
  }

  #forgetGone(): void {
    for (const id of this.#silent) if (this.#options.live.agent(id)?.connected !== true) this.#silent.delete(id);
  }

  #after(network: NetworkState, host: string): readonly AgentState[] {
    let agents = this.#byHost.get(network);
    if (agents === undefined) {
      agents = [...network.agents.values()].sort((one, other) => byText(one.host, other.host));
      this.#byHost.set(network, agents);
    }
    const first = agents.findIndex((agent) => agent.host > host);
    return first === -1 ? [] : agents.slice(first);
  }

  /** The first of them, so that no more than so many must be asked. */
  #upTo(most: number, agents: readonly AgentState[]): readonly AgentState[] {
    let asked = 0;
    const end = agents.findIndex((agent) => this.#stateOf(agent) === 'told' && ++asked > most);
    return end === -1 ? agents : agents.slice(0, end);
  }
}

/** The first of them that have room in one message; those left out are asked again for the next. */
function withinBounds(hosts: readonly HostOpenFlows[]): readonly HostOpenFlows[] {
  let characters = 0;
  const end = hosts.findIndex(({ flows }, at) => {
    for (const { source, sourceHost, service, instance, destinationHost, user, unit, program } of flows) {
      characters += [source, sourceHost, service, instance, destinationHost, user, unit, program].join('').length;
    }
    return at > 0 && characters > CHARACTERS;
  });
  return end === -1 ? hosts : hosts.slice(0, end);
}
