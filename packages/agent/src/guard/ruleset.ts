/**
 * The guard's own table as nft(8) takes it, and as it tells it. Each load takes the place of what was there, in one transaction:
 * a packet meets the one or the other. The table only drops: what comes to this host from elsewhere, and what other users of it send from addresses that are services'.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { type AddressRange, byText, formatRange, PROTOCOLS, parseRange } from '@weft/proto';
import { z } from 'zod';
import { MOST_PLACES, type Place } from '../words/place.ts';
import { GuardError } from './errors.ts';

export const TABLE = 'inet weft_guard';
/** -1 is none. */
export const LAST_USER = 2 ** 32 - 2;

export interface GuardWish {
  readonly places: readonly Place[];
  /** Where services have their addresses here: of this host's own programs alone. */
  readonly range: AddressRange;
  /** Whose programs may call from there, by number: who the agent is, and root. None where that is not known, and then all may. */
  readonly users: readonly number[];
  /** Real path of the directory of the agent that they are of: no other agent's guard takes its place. */
  readonly directory: string;
}

/** Makes the table, whatever stands there. Throws GuardError where what is wished is not of its form: it goes into nft's own words, which root runs. */
export function loadOf(wish: GuardWish): string {
  return `${REMOVAL}${tableOf(wish)}`;
}

/** Takes the table away, and is done where there is none: what is added first is there to be deleted. */
export const REMOVAL = `table ${TABLE}\ndelete table ${TABLE}\n`;

/** Before connections are tracked and addresses translated, so that ports that a container engine leads elsewhere are closed too. */
const PRIORITY = -310;

function tableOf(wish: GuardWish): string {
  refuseOddities(wish);
  const sets = SETS.map(({ name, type, holds, element }) => {
    const elements = wish.places.filter(holds).map(element).sort(byText);
    return `  set ${name} {\n    type ${type}\n${elements.length === 0 ? '' : `    elements = { ${elements.join(', ')} }\n`}  }\n`;
  });
  const lines = (rules: readonly string[]) => rules.map((rule) => `    ${rule}\n`).join('');
  return `table ${TABLE} {
${sets.join('')}  chain outside {
    type filter hook prerouting priority ${PRIORITY}; policy accept;
${lines(outsideRules(wish))}  }
  chain closed {
${lines(closedRules(wish))}  }
  chain inside {
    type filter hook output priority ${PRIORITY}; policy accept;
${lines(insideRules(wish))}  }
}
`;
}

function outsideRules(wish: GuardWish): readonly string[] {
  return [
    `iif "lo" accept comment "${markOf(wish)}"`,
    // What this host only forwards is others'.
    'fib daddr type { local, broadcast, anycast, multicast } jump closed',
  ];
}

function closedRules({ places, range }: GuardWish): readonly string[] {
  return [
    `ip daddr ${formatRange(range)} counter drop`,
    `ip saddr ${formatRange(range)} counter drop`,
    // Before the kernel puts them together, which it does here only where connections are tracked, their ports are not to be relied on.
    ...(places.some(({ address }) => isIP(address) === 6) ? ['meta nfproto ipv6 exthdr frag exists counter drop'] : []),
    ...SETS.map(({ name, match }) => `${match} @${name} counter drop`),
  ];
}

/**
 * A target knows its callers by their addresses, and any user of its host may take one as its own (bind(2)). Whoever listens on every address answers from there
 * too, whatever address it is called from: of TCP only what opens a connection is dropped, of datagrams none of such a listener's port.
 */
function insideRules({ range, users }: GuardWish): readonly string[] {
  if (users.length === 0) return [];
  const services = formatRange(range);
  const others = users.map((uid) => `meta skuid != ${uid}`).join(' ');
  return ['tcp flags & (syn | ack) == syn', 'meta l4proto udp meta l4proto . th sport != @ports4'].map(
    (calls) => `oif "lo" ip saddr ${services} ip daddr != ${services} ${calls} ${others} counter drop`,
  );
}

/** Whoever asked for it, and however it was read: an address may hold no word more. */
function refuseOddities({ places, range, users }: GuardWish): void {
  const read = parseRange(formatRange(range));
  if (read?.base !== range.base || read.size !== range.size) throw odd(`range ${formatRange(range)}`);
  if (places.length > MOST_PLACES) throw odd(`${places.length} places, of at most ${MOST_PLACES}`);
  for (const uid of users)
    if (!Number.isInteger(uid) || uid < 0 || uid > LAST_USER) throw odd(`user ${JSON.stringify(uid)}`);
  for (const { address, port, protocol } of places) {
    if (isIP(address) === 0 || address.includes('%')) throw odd(`address ${JSON.stringify(address)}`);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw odd(`port ${JSON.stringify(port)}`);
    if (!PROTOCOLS.includes(protocol)) throw odd(`protocol ${JSON.stringify(protocol)}`);
  }
}

function odd(what: string): GuardError {
  return new GuardError(
    'guard-odd-wish',
    `the agent asks the guard for what is none of its form: ${what.slice(0, 200)}; nothing was changed; see who runs as the agent's user`,
  );
}

interface PlaceSet {
  readonly name: string;
  readonly type: string;
  readonly holds: (place: Place) => boolean;
  readonly element: (place: Place) => string;
  readonly match: string;
}

const port = 'meta l4proto . th dport';
const SETS: readonly PlaceSet[] = [
  {
    name: 'ports4',
    type: 'inet_proto . inet_service',
    holds: ({ address }) => address === '0.0.0.0',
    element: ({ protocol, port }) => `${protocol} . ${port}`,
    match: `meta nfproto ipv4 ${port}`,
  },
  {
    name: 'ports6',
    type: 'inet_proto . inet_service',
    holds: ({ address }) => address === '::',
    element: ({ protocol, port }) => `${protocol} . ${port}`,
    match: `meta nfproto ipv6 ${port}`,
  },
  {
    name: 'places4',
    type: 'ipv4_addr . inet_proto . inet_service',
    holds: ({ address }) => address !== '0.0.0.0' && !address.includes(':'),
    element: ({ protocol, address, port }) => `${address} . ${protocol} . ${port}`,
    match: `ip daddr . ${port}`,
  },
  {
    name: 'places6',
    type: 'ipv6_addr . inet_proto . inet_service',
    holds: ({ address }) => address !== '::' && address.includes(':'),
    element: ({ protocol, address, port }) => `${address} . ${protocol} . ${port}`,
    match: `ip6 daddr . ${port}`,
  },
];

/** Of the rules: a table of another form is made anew. */
const FORM = 'form 3';

/** Stands as a comment at the first rule: whose it is, and what was asked of it. */
function markOf({ places, range, users, directory }: GuardWish): string {
  const keys = places.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`).sort(byText);
  return `weft guard ${digest(directory)} ${digest([FORM, formatRange(range), users.join(), ...keys].join('\n'))}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The table as the kernel has it. */
export interface LoadedTable {
  readonly mark: string;
  /** In its sets and its chains. */
  readonly elements: number;
  readonly rules: number;
  /** Packets dropped since it was loaded. */
  readonly dropped: number;
}

/** `whole`: as wished. `other`: made for another agent. `changed`: something else is closed, or somebody has changed the table. */
export type GuardState = 'whole' | 'absent' | 'changed' | 'other';

export function stateOf(wish: GuardWish, loaded: LoadedTable | undefined): GuardState {
  if (loaded === undefined) return 'absent';
  if (isOfAnother(wish.directory, loaded)) return 'other';
  const rules = [outsideRules, closedRules, insideRules].reduce((sum, of) => sum + of(wish).length, 0);
  const whole = loaded.mark === markOf(wish) && loaded.elements === wish.places.length && loaded.rules === rules;
  return whole ? 'whole' : 'changed';
}

/** Whether the table is of an agent that keeps its state elsewhere, by the real path. */
export function isOfAnother(directory: string, { mark }: Pick<LoadedTable, 'mark'>): boolean {
  const [, owner] = /^weft guard ([0-9a-f]{16}) /.exec(mark) ?? [];
  return owner !== undefined && owner !== digest(directory);
}

const listing = z.object({
  nftables: z.array(
    z.object({
      set: z.object({ elem: z.array(z.unknown()).optional() }).optional(),
      rule: z.object({ comment: z.string().optional(), expr: z.array(z.record(z.string(), z.unknown())) }).optional(),
    }),
  ),
});
const counter = z.object({ packets: z.number() });

/** Of `nft --json list table inet weft_guard`. Throws where it is none. */
export function readListing(text: string): LoadedTable {
  const { nftables } = listing.parse(JSON.parse(text));
  const rules = nftables.flatMap(({ rule }) => (rule === undefined ? [] : [rule]));
  const counters = rules.flatMap(({ expr }) => expr.flatMap((each) => ('counter' in each ? [each.counter] : [])));
  return {
    mark: rules.find(({ comment }) => comment !== undefined)?.comment ?? '',
    elements: nftables.reduce((sum, { set }) => sum + (set?.elem?.length ?? 0), 0),
    rules: rules.length,
    dropped: counters.reduce<number>((sum, each) => sum + (counter.safeParse(each).data?.packets ?? 0), 0),
  };
}
