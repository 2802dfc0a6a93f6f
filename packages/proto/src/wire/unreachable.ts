/** Why no connection to control came about, in words, and what to do about it: as much as is known, and no more. */
import { messageOf } from '../model/errors.ts';

export interface Unreachable {
  readonly why: string;
  readonly advice: readonly string[];
  /** Whether the host there says that nobody listens, at each of its addresses; left out where it does not, or nobody knows. */
  readonly refused?: boolean;
}

const RUNS =
  "check that weft-control runs there, and that its --listen is more than that host's loopback where this is another";
const PASSES =
  "check the address, this host's routes (ip route get ADDRESS), and that firewalls on the way and at its host let TCP pass to its port";
const IS_CONTROL =
  'check that it is the port of --listen of weft-control, 7400 unless it says otherwise, and, where a proxy, a balancer ' +
  "or a container's port answers there, that weft-control runs behind it, its --listen more than loopback";
const ANSWERS =
  'see to weft-control, and to what stands before it; where the path drops large packets, sysctl net.ipv4.tcp_mtu_probing=2 on both hosts';

const known = (why: string, advice: string): Unreachable => ({ why, advice: [advice] });

const NO_WAY = known('no way leads there from this host', PASSES);
const NOT_LET = known('this host does not let it out', 'see to the firewall of this host');
const NO_FILE = known('no open file is left for it here', 'raise ulimit -n, or see what holds so many files');
const NO_RESOLVER = known(
  'no resolver of this host answers for that name',
  'see to /etc/resolv.conf, or give an address in its place',
);
const ENDED = known('who answers there ends the connection', IS_CONTROL);

/** By the code of the system's error. */
const SYSTEM: Readonly<Record<string, Unreachable>> = {
  ECONNREFUSED: { ...known('nobody listens there', RUNS), refused: true },
  ENOTFOUND: known('there is no such name', 'check how it is spelt, or give an address in its place'),
  EAI_AGAIN: NO_RESOLVER,
  // By the system, or by Node of one of several addresses.
  ETIMEDOUT: known('no answer in time', PASSES),
  // A firewall's word there, or nobody's on the same network.
  EHOSTUNREACH: known('no way leads there, or its host is off, or its firewall refuses', PASSES),
  ENETUNREACH: NO_WAY,
  EACCES: NOT_LET,
  EPERM: NOT_LET,
  EMFILE: NO_FILE,
  ENFILE: NO_FILE,
  EADDRNOTAVAIL: known(
    'this host has no address or no source port for it',
    'see whether IPv6 is off here where the address is of it, or all source ports are in use (ss -s)',
  ),
  ENETDOWN: known('the network of this host is down', "see to this host's interfaces (ip link)"),
  EINVAL: known('this host cannot dial such an address', 'give one that is not link-local (fe80::)'),
  ECONNRESET: ENDED,
};

export const CLOSED = ENDED;
export const WITHOUT_CERTIFICATE = known('it showed no certificate', IS_CONTROL);
const NO_TLS = known(
  'what answers there speaks no TLS, as the ports of --dashboard and --metrics do not',
  'name that of its --listen, 7400 unless it says otherwise',
);

/** How far it came before it was given up. */
export type Progress = 'asks for the name' | 'dials' | 'is connected';

/** Nothing more came for `ms`. */
export function silent(progress: Progress, ms: number): Unreachable {
  const within = `within ${ms / 1_000} s`;
  if (progress === 'asks for the name') return { ...NO_RESOLVER, why: `${NO_RESOLVER.why} ${within}` };
  if (progress === 'dials') return known(`no answer ${within}`, PASSES);
  return known(`it takes the connection, and says nothing ${within}`, ANSWERS);
}

/** What OpenSSL says of an answer that is no TLS; where it is met while writing, in the words alone. */
const PLAIN = /wrong.version.number|packet.length.too.long|http.request/i;

const textOf = (error: unknown, key: 'code' | 'address'): string =>
  error instanceof Error && key in error ? String((error as Error & Record<typeof key, unknown>)[key]) : '';

/** Of what a TLS connection failed by. A name of several addresses brings one error for all, of which each is told. */
export function unreachable(error: unknown): Unreachable {
  if (error instanceof AggregateError && error.errors.length > 0) return unreachableByEach(error.errors);
  const code = textOf(error, 'code');
  // OpenSSL's own words for it help nobody.
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    if (PLAIN.test(code) || PLAIN.test(messageOf(error))) return NO_TLS;
    return known(`no TLS comes about with what answers there (${code})`, IS_CONTROL);
  }
  const told = SYSTEM[code];
  if (told !== undefined) return { ...told, why: `${told.why} (${code})` };
  return known(messageOf(error) || code, RUNS);
}

function unreachableByEach(errors: readonly unknown[]): Unreachable {
  const all = errors.map((error) => ({ ...unreachable(error), address: textOf(error, 'address') }));
  const met = Map.groupBy(all, ({ why }) => why);
  const told = [...met].map(([why, of]) => `${of.map(({ address }) => address).join(', ')}: ${why}`);
  return {
    why: met.size === 1 ? [...met.keys()].join() : told.join('; '),
    advice: [...new Set(all.flatMap(({ advice }) => advice))],
    refused: all.every(({ refused }) => refused === true),
  };
}
