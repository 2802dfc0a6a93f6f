/** A range outside loopback is this host's own for as long as a route says so, which root has made and may take away. */
import { type AddressRange, formatRange, hostInterfaces, isLoopbackRange } from '@weft/proto';
import { isLocalRange } from '../bytes/address-watch.ts';
import { overlappingNetwork } from '../config/vip-range.ts';
import { AgentError } from '../member/errors.ts';
import type { Problems } from '../words/problems.ts';

type Look = typeof isLocalRange;

const LOOK_MS = 2_000;

/** Throws AgentError where nothing could be listened on. */
export function requireLocal(range: AddressRange, look: Look = isLocalRange): void {
  if (isLoopbackRange(range)) return;
  if (look(range) === false) throw new AgentError('range-not-local', notLocal(range));
}

/** Tells of a range that is this host's no more, and when it is again, until the signal is aborted. */
export function watchRange(
  range: AddressRange,
  problems: Problems,
  signal: AbortSignal,
  look: Look = isLocalRange,
  interfaces: typeof hostInterfaces = hostInterfaces,
): void {
  if (isLoopbackRange(range)) return;
  const problem = { code: 'vip-range-lost', subject: '--vip-range' };
  const check = () => {
    const local = look(range);
    const taken = overlappingNetwork(range, interfaces());
    if (taken !== undefined)
      problems.raise({
        ...problem,
        message: `${formatRange(range)} overlaps the network ${taken}; take another range`,
      });
    else if (local === false) problems.raise({ ...problem, message: notLocal(range) });
    else if (local === true) problems.clear(problem.code, problem.subject);
  };
  check();
  const timer = setInterval(check, LOOK_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

function notLocal(range: AddressRange): string {
  const cidr = formatRange(range);
  return (
    `--vip-range ${cidr} is not local on this host, so no service can have its address there; ` +
    `as root: ip route add local ${cidr} dev lo (README tells how to have it after each start of the host)`
  );
}
