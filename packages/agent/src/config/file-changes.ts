/** What differs between two agent files, key by key. */
import { formatHostPort } from '@weft/proto';
import type { AgentFile } from './agent-file.ts';

export interface FileChange {
  /** As it stands in the file, such as `services.redis.targets.6379`. */
  readonly key: string;
  /** Null where there was none; the same of `after`. Empty for a key that stands for what is below it. */
  readonly before: string | null;
  readonly after: string | null;
  /** The option that this agent was started with and that goes before it. */
  readonly overriddenBy?: string;
}

/** By key. */
export function fileChanges(before: AgentFile, after: AgentFile): readonly FileChange[] {
  const [was, is] = [entriesOf(before), entriesOf(after)];
  const keys = [...new Set([...was.keys(), ...is.keys()])].sort((left, right) => (left < right ? -1 : 1));
  return keys.flatMap((key): FileChange[] => {
    const change = { key, before: was.get(key) ?? null, after: is.get(key) ?? null };
    return change.before === change.after ? [] : [change];
  });
}

function entriesOf({ services, gateway, zone, dns, exposure }: AgentFile): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  const note = (key: string, value: string | undefined) => {
    if (value !== undefined) entries.set(key, value);
  };
  for (const [name, { targets, match }] of services) {
    note(`services.${name}`, '');
    for (const { port, protocol, host, targetPort } of targets)
      note(
        `services.${name}.targets.${port}${protocol === 'any' ? '' : `/${protocol}`}`,
        formatHostPort(host, targetPort),
      );
    for (const [word, value] of Object.entries(match ?? {})) note(`services.${name}.match.${word}`, value);
  }
  note('gateway.http', gateway && formatHostPort(gateway.http.host, gateway.http.port));
  note('zone', zone);
  note('dns.upstream', dns?.upstream?.map(({ host, port }) => formatHostPort(host, port)).join(', '));
  note('dns.private', dns?.private?.join(', '));
  if (exposure?.triedByPeers === true) note('exposure.tried-by-peers', 'true');
  note('exposure.allow', exposure?.allow.map(({ port, protocol }) => `${port}/${protocol}`).join(', '));
  return entries;
}
