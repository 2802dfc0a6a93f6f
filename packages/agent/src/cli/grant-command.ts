/** weft grant: what a host may run, widened or narrowed while it runs. */
import { status } from '@grpc/grpc-js';
import { END_SECONDS } from '@weft/proto';
import { adminService, durationToWire, isServiceError, problemsFromWire, required } from '@weft/proto/wire';
import { type NetworkOptions, withAdmin } from './admin.ts';
import { CommandError } from './errors.ts';
import { writeJson } from './json.ts';
import { changesFromWire } from './mesh-change.ts';
import { noteTakenUp } from './taken-up.ts';
import { paintErr, printable, type Terminal } from './terminal.ts';
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
  const answer = await withAdmin(options, terminal, signal, async (admin) => {
    try {
      return await admin.call(adminService.grantServices, request);
    } catch (error) {
      if (!isServiceError(error) || error.code !== status.UNIMPLEMENTED) throw error;
      const words =
        'control is of an older version, which cannot widen or narrow what a host may run; upgrade it first';
      throw new CommandError('control-refused', words, { cause: error });
    }
  });
  const { revision, stragglers, notKept, ...result } = required(answer.result, 'result');
  const warnings = problemsFromWire(result.warnings);
  const changes = changesFromWire(result.changes);
  for (const { message } of warnings)
    terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${printable(message)}\n`);
  if (options.json !== undefined) {
    writeJson(terminal, 'grant', { host, revision, granted: answer.granted, changes, warnings, stragglers, notKept });
    return;
  }
  const all = answer.granted.join(', ') || 'nothing';
  const so = changes.length === 0 ? 'so it was already' : `revision ${revision}`;
  terminal.out(`${printable(`${host} may run, by its tokens and grants: ${all}; ${so}`)}\n`);
  noteTakenUp(terminal, revision, stragglers, notKept);
}
