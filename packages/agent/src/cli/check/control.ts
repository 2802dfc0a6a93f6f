/** Whether control is reached from this host, at each place where it is looked for; and what its clock says. */
import { CONTROL_RANGE, leadsToLoopback, messageOf } from '@weft/proto';
import { ControlUnreachableError } from '@weft/proto/wire';
import { formatDuration } from '../../config/duration.ts';
import { controlAddresses } from '../../link/addresses.ts';
import { type ControlSeen, lookAtControl } from '../../member/look-at-control.ts';
import { SKEW_BOUND_MS } from '../format.ts';
import { type Finding, findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const control = findingsOf('control');
const clock = findingsOf('clock');

export async function lookAtControls(
  { agent, identity, kept }: Known,
  now: () => number,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const membership = identity?.membership;
  if (membership === undefined)
    return [
      control.unknown('', 'not looked at: this host is no member of a network, or who asks may not read its identity'),
    ];
  const { pin, controlAddresses: joined } = membership;
  const known = controlAddresses({ named: undefined, told: kept.controlAddresses, joined }, CONTROL_RANGE);
  const addresses = agent?.control.addresses ?? known;
  const seen = await Promise.all(
    addresses.map(async (address) => ({ address, came: await look(address, pin, now, signal) })),
  );
  signal.throwIfAborted();
  const answers = seen.flatMap(({ came }) => ('why' in came ? [] : [came]));
  const another = answers.length > 0;
  // A token that was made on control's own host leads to loopback there too: on other hosts nobody listens there, which says nothing.
  const told = seen.filter(({ address, came }) => !(another && isRefused(came) && leadsToLoopback(address)));
  return [...told.map(({ address, came }) => found(address, came, another)), ...clocks(answers)];
}

/** Why there is no answer, and whether it is for nobody listens there. */
interface NotSeen {
  readonly why: string;
  readonly advice: string;
  readonly refused: boolean;
}

const isRefused = (came: ControlSeen | NotSeen): boolean => 'why' in came && came.refused;

async function look(
  address: string,
  pin: Uint8Array,
  now: () => number,
  signal: AbortSignal,
): Promise<ControlSeen | NotSeen> {
  try {
    return await lookAtControl(address, pin, now, signal);
  } catch (error) {
    if (error instanceof ControlUnreachableError)
      return { why: error.why, advice: error.advice.join('; '), refused: error.refused };
    return { why: messageOf(error), advice: '', refused: false };
  }
}

function found(address: string, came: ControlSeen | NotSeen, another: boolean): Finding {
  if (!('why' in came)) return control.ok(address, `answers in ${came.tookMs.toFixed(1)} ms`);
  if (another) return control.hint(address, came.why, 'nothing, while control answers elsewhere');
  return control.broken(
    address,
    came.why,
    `${came.advice === '' ? 'check that weft-control of this network runs there' : came.advice}; where control is elsewhere by now: weft up --control HOST:PORT`,
  );
}

/** The quickest answer tells best. */
function clocks(answers: readonly ControlSeen[]): readonly Finding[] {
  const [best] = [...answers].sort((one, other) => one.tookMs - other.tookMs);
  if (best === undefined) return [];
  const { aheadMs, tookMs } = best;
  if (aheadMs === undefined)
    return [clock.unknown('', 'this control does not say what time it is: it is of an older version')];
  const off = Math.abs(aheadMs);
  const apart = off < 1_000 ? `${off} ms` : off < 60_000 ? `${(off / 1_000).toFixed(1)} s` : formatDuration(off);
  if (off <= SKEW_BOUND_MS + tookMs / 2)
    return [clock.ok('', `within ${Math.max(1, Math.ceil(off + tookMs / 2))} ms of control's`)];
  return [
    clock.broken(
      '',
      `this host's is ${apart} ${aheadMs > 0 ? 'behind' : 'ahead of'} control's, so times in its records and logs are wrong`,
      'set the one that is wrong and keep it right: timedatectl set-ntp true, or another client of NTP',
    ),
  ];
}
