/**
 * The rules of nft(8) that carry a sandbox's calls out of the mesh to the agent, in the agent's network namespace of the sandbox,
 * where nothing but the program's own packets comes along. TPROXY brings each to a socket of ours with its destination as it was.
 */
import { type AddressRange, formatAddress, formatRange } from '@weft/proto';
import type { ClassedRange } from './address-classes.ts';
import type { EgressRights, OpenedRange } from './rights.ts';

/** Where the sockets of TPROXY are bound: no packet of the program gets to this loopback, and no service has this port (RFC 1078's). */
export const CARRIED_TO = { host: '127.0.0.1', port: 1 } as const;

export interface EgressRulesOptions {
  readonly rights: EgressRights;
  /** Of `rangesAround`. The agent asks anew at each call; here they only make refusals as fast as they can be. */
  readonly around: readonly ClassedRange[];
  /** Where the mesh's services are, which need none of this. */
  readonly vips: AddressRange;
  /** Where names are answered in there. */
  readonly names: string;
  /** Name of the interface that the program's packets come by. */
  readonly link: string;
}

/**
 * TCP goes to the agent, wherever to: what is refused is reset and recorded as any denied call. Of UDP nobody would tell the program, so
 * what will be refused is answered here, and so is all else that is neither.
 */
export function egressRules({ rights, around, vips, names, link }: EgressRulesOptions): string {
  const of = (reach: ClassedRange['reach']) => around.filter((each) => each.reach === reach).map(({ range }) => range);
  const opened = rights.opened.filter(({ ports }) => ports.protocol !== 'tcp');
  return [
    'table ip weft_egress {',
    setOf('never', of('never')),
    setOf('near', of('near')),
    '  chain carry {',
    `    meta l4proto { tcp, udp } tproxy to ${CARRIED_TO.host}:${CARRIED_TO.port} accept`,
    '  }',
    '  chain from_program {',
    '    type filter hook prerouting priority mangle; policy accept;',
    `    iifname != "${link}" accept`,
    `    ip daddr ${formatRange(vips)} accept`,
    `    ip daddr ${names} accept`,
    '    meta l4proto tcp goto carry',
    '    meta l4proto != udp reject with icmp type admin-prohibited',
    '    ip daddr @never reject with icmp type admin-prohibited',
    ...opened.map((each) => `    ${matchOf(each)} goto carry`),
    '    ip daddr @near reject with icmp type admin-prohibited',
    rights.internet ? '    goto carry' : '    reject with icmp type admin-prohibited',
    '  }',
    '}',
    '',
  ].join('\n');
}

function setOf(name: string, ranges: readonly AddressRange[]): string {
  const spans = mergeRanges(ranges).map(
    ({ base, size }) => `${formatAddress(base)}${size === 1 ? '' : `-${formatAddress(base + size - 1)}`}`,
  );
  const elements = spans.length === 0 ? '' : ` elements = { ${spans.join(', ')} };`;
  return `  set ${name} { type ipv4_addr; flags interval;${elements} }`;
}

/** An interval set takes none that overlap. */
function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of [...ranges].sort((left, right) => left.base - right.base)) {
    const last = merged.at(-1);
    if (last === undefined || range.base > last.base + last.size) merged.push(range);
    else {
      const size = Math.max(last.size, range.base + range.size - last.base);
      merged[merged.length - 1] = { base: last.base, size };
    }
  }
  return merged;
}

function matchOf({ range, ports }: OpenedRange): string {
  const all = ports.first === 1 && ports.last === 65_535;
  const { first, last } = ports;
  const port = all ? '' : ` udp dport ${first === last ? first : `${first}-${last}`}`;
  return `ip daddr ${formatRange(range)}${port}`;
}
