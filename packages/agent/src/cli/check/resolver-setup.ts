/** How this host resolves names, and what to change of it so that the agent is asked. */
import { readFileSync } from 'node:fs';
import { formatHostPort, type HostPort } from '@weft/proto';
import { isStub, parseResolvConf } from '../../dns/upstreams.ts';

export interface ResolverSetup {
  /** Of resolv.conf, in their order. */
  readonly nameservers: readonly string[];
  /** What nsswitch.conf has for hosts; none where there is no such file, as with musl. */
  readonly sources: readonly string[];
}

export function readResolverSetup(read: (path: string) => string = readText): ResolverSetup {
  const [, sources = ''] = /^\s*hosts:(.*)$/m.exec(read('/etc/nsswitch.conf')) ?? [];
  return {
    nameservers: parseResolvConf(read('/etc/resolv.conf')).map(({ host }) => host),
    sources: sources
      .replace(/\[[^\]]*\]|#.*/g, ' ')
      .split(/\s+/)
      .filter(Boolean),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `agent`: where it answers. */
export function recipeFor({ nameservers, sources }: ResolverSetup, agent: HostPort, name: string): string {
  if (sources.length > 0 && !sources.includes('dns') && !sources.includes('resolve'))
    return 'put dns into the line hosts: of /etc/nsswitch.conf, without which programs ask no nameserver';
  if (sources.includes('resolve') || nameservers.some((host) => isStub({ host })))
    return (
      `systemd-resolved: put DNS=${formatHostPort(agent.host, agent.port)} and Domains=~internal into [Resolve] of ` +
      '/etc/systemd/resolved.conf.d/weft.conf, then: systemctl restart systemd-resolved'
    );
  if (agent.port !== 53)
    return (
      `resolv.conf names no ports, and the agent answers at ${agent.port}: start it with --dns 127.0.0.1:53 (as root, once: ` +
      'sysctl -w net.ipv4.ip_unprivileged_port_start=53), and put nameserver 127.0.0.1 and search internal into /etc/resolv.conf, before the others'
    );
  if (nameservers[0] !== agent.host) {
    const now = nameservers.length === 0 ? 'nobody' : nameservers.join(', ');
    return `put nameserver ${agent.host} before the others in /etc/resolv.conf, and search internal (it names ${now} now)`;
  }
  if (nameservers.length > 1)
    return (
      'musl asks all nameservers at once: leave the agent alone in /etc/resolv.conf, and name the others to it by --dns-upstream; ' +
      `see also that nothing else answers for ${name}, such as /etc/hosts`
    );
  return `see that nothing else answers for ${name}, such as /etc/hosts or a cache (nscd) that has what was before`;
}
