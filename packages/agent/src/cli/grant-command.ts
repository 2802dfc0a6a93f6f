/** weft grant: what a host may run, widened or narrowed while it runs. */
import { END_SECONDS } from '@weft/proto';
import { adminService, durationToWire, problemsFromWire, required } from '@weft/proto/wire';
import { knownToControl, type NetworkOptions, withAdmin } from './admin.ts';
import { writeJson } from './json.ts';
import { changesFromWire, hostReachFromWire, writeHostReach } from './mesh-change.ts';
import { noteTakenUp } from './taken-up.ts';
import { printable, type Terminal, warn } from './terminal.ts';
import { readRunnable } from './token-command.ts';

export interface GrantOptions extends NetworkOptions {
  readonly services: string;
  readonly take?: true;
  readonly leaveBehind?: true;
}

export async function grant(
  host: string,
  options: GrantOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const services = readRunnable(options.services);
  const take = options.take ?? false;
  const request = {
    network: options.network ?? '',
    agent: host,
    services,
    take,
    terms: {
      wait: true,
      timeout: durationToWire(END_SECONDS * 1_000),
      leaveBehind: options.leaveBehind ?? false,
    },
  };
  const answer = await withAdmin(options, terminal, signal, (admin) =>
    knownToControl('widen or narrow what a host may run', admin.call(adminService.grantServices, request)),
  );
  const { revision, stragglers, notKept, ...result } = required(answer.result, 'result');
  const warnings = problemsFromWire(result.warnings);
  const changes = changesFromWire(result.changes);
  const hostReach = hostReachFromWire(result.hostReach);
  for (const { message } of warnings) warn(terminal, message);
  if (options.json !== undefined) {
    const { granted } = answer;
    writeJson(terminal, 'grant', { host, revision, granted, changes, hostReach, warnings, stragglers, notKept });
    return;
  }
  const all = answer.granted.join(', ') || 'nothing';
  const so = changes.length === 0 ? 'so it was already' : `revision ${revision}`;
  terminal.out(`${printable(`${host} may run, by its tokens and grants: ${all}; ${so}`)}\n`);
  writeHostReach(hostReach, terminal);
  noteTakenUp(terminal, revision, stragglers, notKept);
}
