/** What is to be reached: Weft's figure over a peer's, as the median of the rounds' ratios. */
export interface Target {
  readonly work: string;
  readonly peer: string;
  /** The work's own figure, or the CPU seconds that Weft's processes and the peer's spent per unit of it. */
  readonly figure: 'value' | 'cpu';
  readonly bound: 'at least' | 'at most';
  readonly ratio: number;
}

const atLeast = (work: string, peer: string, ratio: number): Target => {
  return { work, peer, figure: 'value', bound: 'at least', ratio };
};

export const targets: readonly Target[] = [
  ...['stream', 'stream-back'].flatMap((work) => [
    atLeast(work, 'stunnel4', 1.3),
    atLeast(work, 'nebula', 5),
    atLeast(work, 'wireguard-go', 6),
  ]),
  atLeast('streams', 'stunnel4', 1.2),
  atLeast('redis', 'stunnel4', 1.5),
  atLeast('redis', 'haproxy', 1.15),
  atLeast('redis', 'nebula', 1),
  { work: 'redis-one', peer: 'stunnel4', figure: 'value', bound: 'at most', ratio: 1.2 },
  ...['connect', 'redis-connect'].flatMap((work) => [atLeast(work, 'stunnel4', 5), atLeast(work, 'haproxy', 3)]),
  // What it costs to be seen: at most 3 % of the requests.
  { work: 'redis', peer: 'weft-observed', figure: 'value', bound: 'at most', ratio: 1.03 },
  // To know who calls takes at most 15 % of the calls.
  ...['weft-by-user', 'weft-by-program'].map((peer): Target => {
    return { work: 'connect', peer, figure: 'value', bound: 'at most', ratio: 1.18 };
  }),
  // A message waits beside bulk no longer than through the best of the others.
  ...['stunnel4', 'haproxy', 'nebula'].map((peer): Target => {
    return { work: 'ping', peer, figure: 'value', bound: 'at most', ratio: 1 };
  }),
  atLeast('datagrams', 'nebula', 1),
  atLeast('datagrams', 'wireguard-go', 1),
  atLeast('dns', 'dnsmasq', 1),
  ...['stream', 'stream-back'].map((work): Target => {
    return { work, peer: 'stunnel4', figure: 'cpu', bound: 'at most', ratio: 0.8 };
  }),
];

/** Compared as it is printed, with two decimals: more than that no run can tell. */
export function reached(target: Target, measured: number): boolean {
  const printed = Math.round(measured * 100) / 100;
  return target.bound === 'at least' ? printed >= target.ratio : printed <= target.ratio;
}
