/** How a flow ends, and all that follows from it: one row an outcome. */

interface OutcomeRow {
  /** A permitted flow that ends so has failed, in counts and colours. */
  readonly failed: boolean;
  /** The mesh or the service is at fault. A denial and a cut are decisions, and what ends are do is their own affair. */
  readonly fault: boolean;
  /**
   * Of several instances that were tried in vain, the flow ends with the outcome that tells most: the greatest of these. 0
   * where no try ends so.
   */
  readonly telling: number;
  /** HTTP status that a public client is told when its flow ended so before it was open. */
  readonly publicStatus: 404 | 502 | 503 | 504;
  /** What happened, for people. */
  readonly sentence: string;
}

const ROWS = {
  closed: {
    failed: false,
    fault: false,
    telling: 0,
    publicStatus: 502,
    sentence: 'Both sides closed it.',
  },
  reset: {
    failed: false,
    fault: false,
    telling: 0,
    publicStatus: 502,
    sentence: 'One side reset it.',
  },
  // A public client is answered as if the host were unknown.
  denied: {
    failed: false,
    fault: false,
    telling: 0,
    publicStatus: 404,
    sentence: 'It was refused before a byte passed.',
  },
  cut: {
    failed: true,
    fault: false,
    telling: 0,
    publicStatus: 404,
    sentence: 'It was cut, since what allowed it was taken away.',
  },
  'no-instance': {
    failed: true,
    fault: true,
    telling: 1,
    publicStatus: 503,
    sentence: 'No healthy instance was there to take it.',
  },
  'not-listening': {
    failed: true,
    fault: true,
    telling: 4,
    publicStatus: 502,
    sentence: 'Nothing listened on the port.',
  },
  unreachable: {
    failed: true,
    fault: true,
    telling: 2,
    publicStatus: 502,
    sentence: 'The other host could not be reached.',
  },
  overloaded: {
    failed: true,
    fault: true,
    telling: 3,
    publicStatus: 503,
    sentence: 'An agent had no room for it.',
  },
  // As a newer agent tells it. Whose fault it is nobody here can say, but those that end well are known.
  other: {
    failed: true,
    fault: false,
    telling: 1,
    publicStatus: 502,
    sentence: 'It ended in a way that this version does not know.',
  },
  // Of the opening, by an agent that is heard all the while; and of requests of the internet, for only a gateway knows that an answer is owed.
  unanswered: {
    failed: true,
    fault: true,
    telling: 2,
    publicStatus: 504,
    sentence: 'The other host, or the service, did not answer in time, or closed without an answer.',
  },
} as const satisfies Record<string, OutcomeRow>;

export type FlowOutcome = keyof typeof ROWS;

export const OUTCOMES: Readonly<Record<FlowOutcome, OutcomeRow>> = ROWS;

/** In the order of the table. */
export const FLOW_OUTCOMES: readonly FlowOutcome[] = Object.keys(ROWS) as FlowOutcome[];

export function isOutcome(word: string): word is FlowOutcome {
  return Object.hasOwn(ROWS, word);
}
