/** A flow that is open, as one of its two agents knows it; see LiveFlow in agent.proto for each field. */
import type { FlowRecord } from './flow.ts';

export interface OpenFlow
  extends Pick<
    FlowRecord,
    | 'id'
    | 'source'
    | 'sourceHost'
    | 'service'
    | 'instance'
    | 'destinationHost'
    | 'port'
    | 'protocol'
    | 'bytesSent'
    | 'bytesReceived'
    | 'user'
    | 'unit'
    | 'program'
  > {
  readonly ageMs: number;
  /** Since the last byte either way. */
  readonly idleMs: number;
}

/** What open flows must be; what is left out does not matter. */
export interface OpenFlowFilter extends Partial<Pick<OpenFlow, 'source' | 'service' | 'port'>> {
  /** At either end. */
  readonly host?: string;
}

/** What an agent is asked for. */
export interface OpenFlowsQuestion {
  readonly filter: OpenFlowFilter;
  /** Not those that this agent will record, but those handed over to these destinations; an empty list for any. */
  readonly handedOverTo?: readonly string[];
  readonly most: number;
}

/** Newest first. */
export interface OpenFlows {
  readonly flows: readonly OpenFlow[];
  /** Others that were asked for as well. */
  readonly omitted: number;
}

export const OPEN_FLOWS_STATES = ['told', 'not-connected', 'no-answer', 'older'] as const;

/** Whether a host told of its open flows. */
export type OpenFlowsState = (typeof OPEN_FLOWS_STATES)[number];
