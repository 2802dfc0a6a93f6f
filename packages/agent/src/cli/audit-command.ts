/** weft audit and weft network: who did what, which networks there are, and the end of one. */
import { actorKindCodec, adminService, required, timestampFromWire, toldFromWire } from '@weft/proto/wire';
import { type AdminOptions, everyEntry, type NetworkOptions, withAdmin } from './admin.ts';
import { CommandError, wrongValue } from './errors.ts';
import { formatTime, orDash } from './format.ts';
import { writeJson } from './json.ts';
import { drop, short, type TableOptions, writeTable } from './table.ts';
import { printable, type Terminal } from './terminal.ts';

/** As many as control keeps. */
const MOST_ENTRIES = 10_000;

/** Oldest first, as flows are: the newest stands where the eye is. */
export async function audit(
  options: NetworkOptions & { readonly limit: string },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const limit = Number(options.limit);
  if (!/^\d{1,5}$/.test(options.limit) || limit < 1 || limit > MOST_ENTRIES)
    wrongValue('--limit', `a number from 1 to ${MOST_ENTRIES}`, options.limit);
  const network = options.network ?? '';
  const listed = await withAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listAudit, { network, ...page }),
      ({ entries }) => entries,
      limit,
    ),
  );
  const entries = listed.reverse().map((entry) => {
    const { sequence, time, action, network: of, subject, revision, detail } = entry;
    const actor = required(entry.actor, 'actor');
    return {
      sequence,
      timeMs: timestampFromWire(time, 'time'),
      actor: { kind: toldFromWire(actorKindCodec, actor.kind, 'kind'), name: actor.name },
      action,
      network: of,
      subject,
      revision,
      detail,
    };
  });
  if (options.json !== undefined) {
    writeJson(terminal, 'audit', { entries });
    return;
  }
  const several = new Set(entries.map((entry) => entry.network).filter(Boolean)).size > 1;
  const rows = entries.map(({ timeMs, actor, action, network: of, subject, revision, detail }) => [
    formatTime(timeMs),
    actor.name === '' ? actor.kind : `${actor.kind} ${actor.name}`,
    action,
    ...(several ? [orDash(of)] : []),
    revision === 0 ? '-' : String(revision),
    orDash([subject, detail].filter((words) => words !== '').join(': ')),
  ]);
  const where = several ? [short('NETWORK')] : [];
  const head = ['TIME', short('WHO'), short('ACTION'), ...where, drop('REVISION', 1), short('WHAT')];
  writeTable(terminal, head, rows, options);
}

export async function networkList(
  options: AdminOptions & TableOptions & { readonly json?: true },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { networks: listed } = await withAdmin(options, terminal, signal, (admin) =>
    admin.call(adminService.getStatus, {}),
  );
  const networks = listed.map(({ network, revision, services, agents, connected, behindCount }) => ({
    network,
    revision,
    services,
    agents,
    connected,
    behind: behindCount,
  }));
  if (options.json !== undefined) {
    writeJson(terminal, 'network list', { networks });
    return;
  }
  const rows = networks.map(({ network, revision, services, agents, connected, behind }) => [
    network,
    String(revision),
    String(services),
    `${connected}/${agents}`,
    String(behind),
  ]);
  writeTable(terminal, [short('NETWORK'), 'REVISION', 'SERVICES', 'CONNECTED', 'BEHIND'], rows, options);
}

/** Nothing brings a network back: who removes it says its name again. */
export async function networkRemove(
  network: string,
  { yes, ...options }: AdminOptions & { readonly yes?: string; readonly json?: true },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  // Nobody is asked for the name of one that is not there: control says so.
  if (yes === undefined)
    await withAdmin(options, terminal, signal, (admin) =>
      admin.call(adminService.listTokens, { network, pageSize: 1 }),
    );
  if (yes === undefined && terminal.ask === undefined)
    throw new CommandError('not-confirmed', `nobody is at a terminal to say the name again: give --yes ${network}`);
  const question =
    `this ends the mesh and history of network ${network}, its tokens, and the membership of each of its hosts.\n` +
    'type its name to remove it: ';
  const confirm = yes ?? (await terminal.ask?.(printable(question), signal))?.trim() ?? '';
  if (confirm !== network) throw new CommandError('not-confirmed', 'that is another name; nothing was changed');
  const { revision, hosts } = await withAdmin(options, terminal, signal, (admin) =>
    admin.call(adminService.deleteNetwork, { network, confirm }),
  );
  if (options.json !== undefined) {
    writeJson(terminal, 'network remove', { network, revision, hosts });
    return;
  }
  const ended = hosts.length === 0 ? 'it had no hosts' : `no members any more: ${hosts.join(', ')}`;
  terminal.out(`${printable(`network ${network} removed at revision ${revision}; ${ended}`)}\n`);
}
