/** weft agents rename: another host name for an agent. */
import { adminService } from '@weft/proto/wire';
import { type NetworkOptions, withAdmin } from './admin.ts';
import { writeJson } from './json.ts';
import { noteTakenUp } from './taken-up.ts';
import { paint, printable, type Terminal } from './terminal.ts';

export async function renameAgent(
  agent: string,
  host: string,
  options: NetworkOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const request = { network: options.network ?? '', agent, host };
  const { agentId, formerHost, revision, leftOver, stragglers, notKept } = await withAdmin(
    options,
    terminal,
    signal,
    (admin) => admin.call(adminService.renameAgent, request),
  );
  if (options.json !== undefined) {
    writeJson(terminal, 'agents rename', { agentId, host, formerHost, revision, leftOver, stragglers, notKept });
    return;
  }
  terminal.out(
    `${printable(formerHost)} (${printable(agentId)}) is ${paint(terminal, 'bold', printable(host))} from revision ${revision} on\n`,
  );
  if (leftOver.length > 0) {
    terminal.err(
      `${printable(`note: the mesh still speaks of ${formerHost}: ${leftOver.join(', ')}; remove that, lest it be about who joins under this name next`)}\n`,
    );
  }
  noteTakenUp(terminal, revision, stragglers, notKept);
}
