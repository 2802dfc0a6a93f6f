/** Bounds of one mesh, which keep it from costing every agent without limit. */
export const LIMITS = {
  services: 5_000,
  policies: 10_000,
  agents: 10_000,
  tests: 10_000,
  /** Of one service or agent. */
  tags: 32,
  /** Entries that say what a host may run, of one token or of one agent in a mesh. */
  runnable: 256,
  /** Of one side of a rule. */
  selectors: 256,
  /** Entries, single ports or ranges, of one rule. */
  rulePorts: 256,
  /** Of one service. */
  publicHosts: 100,
  /** Characters of what a service is, in words. */
  description: 200,
  /** Longest wait for a public service's answer, milliseconds. */
  responseTimeoutMs: 3_600_000,
} as const;

/**
 * What a message between an agent and control holds at most. The sender keeps within it, the receiver refuses what is over;
 * a test walks the table, each entry at its bound and one over.
 */
export const WIRE_LIMITS = {
  /** Characters of a name of any sort: service, host, rule, selector, the code and the subject of a problem. */
  name: 255,
  /** Characters of words for people: a problem's message, why a flow failed, why a path does not work. */
  sentence: 1_000,
  /** Characters of an item's key: peer/ and 64 are the longest. */
  key: 128,
  /** Characters of what names a run of control. */
  timeline: 64,
  /** Of a delta: items, and removals; of a standing: entries of its inventory. */
  items: 100_000,
  /** Ranges of a service, a rule or an instance. Ranges, not ports: a service has at most 1,024 single ports. */
  portRanges: 1_024,
  /** Of one agent in a netmap: more than there are, for those that are to come. */
  roles: 32,
  /** Endpoints that an agent says it has. */
  reportEndpoints: 16,
  /** Endpoints of a peer: those it says it has, and where control sees it. */
  peerEndpoints: 32,
  /** Of one report. */
  problems: 256,
  /** Exposed places of one report. */
  exposed: 256,
  /** Places that one agent is asked to try at once. */
  triedPlaces: 32,
  /** What is told of tries of one place. */
  placeTries: 128,
  /** Records of one batch. */
  flowBatch: 1_000,
  /** Bytes of one flow, one way: none can carry more in its life (256 TiB), and sums of these stay exact for long. */
  flowBytes: 2 ** 48,
  /** Open flows of one answer. */
  /** Ten years: nothing lives longer, and whatever an agent says, the time that a flow was opened is one that can be written. */
  openFlowAgeMs: 10 * 366 * 86_400_000,
  openFlows: 200,
  /** Destinations named in a question about open flows; of more, none is named. */
  openFlowHosts: 256,
  /** Programs in sandboxes of one report. */
  sandboxes: 256,
  /** Ranges of ports of each. */
  sandboxPorts: 64,
  /** Pairs of one telemetry. */
  trafficPairs: 2_000,
  /** Peers of one telemetry. */
  peerTunnels: 2_000,
  /** Index of a standing: leaves room to count on from whatever an agent says. */
  index: 2 ** 52,
} as const;

/** What a question to the admin API asks at most, held by who asks and by control, and walked by a test as well. */
export const ADMIN_LIMITS = {
  /** Flows of the past that a watch begins with. */
  flows: 10_000,
  /** Entries of one page of a listing. */
  page: 1_000,
  /** Of a history of flows. */
  buckets: 1_000,
  /** Characters looked for in flows. */
  flowText: 200,
  /** A year. */
  tokenSeconds: 31_536_000,
  /** Addresses of control in one token. */
  tokenAddresses: 16,
  /** How long an apply waits for agents, milliseconds. */
  waitMs: 600_000,
} as const;

/** How long the end of a membership waits for agents: a cut takes a second at most, and a slow disk may take two. */
export const END_SECONDS = 3;
