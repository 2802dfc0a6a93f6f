/**
 * What a version of agent or control understands, as one number that only grows: said to each other wherever they meet, and
 * asked before anything is relied on. docs/decisions/0024-capability.md says why it is one.
 */

interface Capability {
  /** The day it came. */
  readonly since: string;
  /** What whoever has it understands, and who has less does not. */
  readonly brought: string;
}

/** The first is number 1. What was released once stands as it is. */
export const CAPABILITIES: readonly Capability[] = [
  { since: '2026-11-28', brought: 'all that agents and control said to each other before they said a number' },
  {
    since: '2026-11-28',
    brought:
      'says its number; a rule that it can read in part alone fails closed; an outcome or refusal it does not know is `other`',
  },
  { since: '2026-11-28', brought: 'an agent tells of its open flows when it is asked' },
  {
    since: '2026-11-29',
    brought: 'a process of a host is denied what is denied to any service that the host may run',
  },
  { since: '2026-11-29', brought: 'a rule may speak of the internet alone' },
  {
    since: '2026-11-29',
    brought: 'control lets a host run what grants and the mesh say beside its token, and a new token adds to a member',
  },
  { since: '2026-11-29', brought: 'a rule may speak of users, and an agent tells the user of who calls' },
  { since: '2026-11-29', brought: 'agents seal what is small between them with keys of its own' },
  {
    since: '2026-11-29',
    brought:
      "an agent tries places of a peer's host that are exposed, at the wish of that host's owner, when control asks",
  },
  { since: '2026-11-29', brought: 'ports that programs in sandboxes open are published (`ports: auto`)' },
  {
    since: '2026-11-29',
    brought: 'an agent takes what a caller has said with the opening of its flow, before its answer',
  },
];

/** From which on an agent tells of its open flows. */
export const TELLS_OPEN_FLOWS = 3;

/** From which on a process of a host is denied what is denied to any service that the host may run. */
export const DENIES_WHAT_MAY_BE = 4;

/** From which on an agent reads the selector `internet`. */
export const SELECTS_INTERNET = 5;

/** From which on an agent reads the selector `user:NAME`, and tells and hears which user calls. */
export const SELECTS_USERS = 7;

/** From which on an agent seals records and packets of at most 1,024 bytes with keys of their own. */
export const SEALS_SMALL_APART = 8;

/** From which on an agent tries places of a peer's host. */
export const TRIES_PLACES = 9;

/** From which on an agent publishes, and calls, what programs in sandboxes open; control of less would pass `auto` over in silence. */
export const PUBLISHES_OPENED = 10;

/** From which on an agent takes early data: the caller's first bytes with the opening of its flow. */
export const TAKES_EARLY_DATA = 11;

/** From which on control reads in a mesh what hosts may run; one of less would pass it over in silence. */
export const READS_RIGHTS = 6;

/** From which on control adds what a new token permits to what a member has; one of less puts it in its place. */
export const ADDS_TOKENS = 6;

/** This version's own. */
export const CAPABILITY: number = CAPABILITIES.length;

/** Of whoever says none: it is of before there were numbers. */
export const UNSAID_CAPABILITY = 1;

/** What was said on a wire, where 0 is nothing. */
export function capabilityOf(said: number | null | undefined): number {
  return said || UNSAID_CAPABILITY;
}
