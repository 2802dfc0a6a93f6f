/** Where the agent file or the options ask for what control does not grant: told as problems, since the rest works. */
import { includesPort, type Problem } from '@weft/proto';
import { type AgentFile, rolesOf } from '../config/agent-file.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';

/** Raises and clears them as the netmap changes. */
export function followMismatches(file: AgentFile, netmap: NetmapSource, problems: Problems): void {
  let standing: readonly Problem[] = [];
  const update = () => {
    const next = mismatches(file, netmap.current);
    for (const { code, subject } of standing) {
      if (!next.some((problem) => problem.code === code && problem.subject === subject)) problems.clear(code, subject);
    }
    for (const problem of next) problems.raise(problem);
    standing = next;
  };
  netmap.subscribe('mismatches', update);
  update();
}

/** What of the file control's word does not cover. Nothing before control has spoken. */
export function mismatches(file: AgentFile, netmap: Netmap): readonly Problem[] {
  const { self, services } = netmap;
  if (self === undefined) return [];
  const problems: Problem[] = [];
  for (const [subject, { targets }] of file.services) {
    const known = services.get(subject);
    if (known === undefined) {
      const message =
        `the mesh of network ${self.network} declares no service ${subject}, or none that this host may run; declare it there ` +
        `and weft apply it, or, if it is there, join with a token made with --services ${subject}`;
      problems.push({ code: 'service-not-declared', subject, message });
      continue;
    }
    if (!self.services.includes(subject)) {
      const message =
        `control allows this host no service ${subject}; remove it from the agent file, or revoke ${self.host} and join ` +
        `again with a token made with --services ${subject}`;
      problems.push({ code: 'service-not-allowed', subject, message });
    }
    for (const { port, protocol } of targets) {
      const { ports } = known.service;
      const protocols = protocol === 'any' ? (['tcp', 'udp'] as const) : [protocol];
      if (protocols.some((one) => includesPort(ports, port, one))) continue;
      const name = protocol === 'any' ? `${port}` : `${port}/${protocol}`;
      const message = `the mesh declares no port ${name} of ${subject}, so its target is not used; declare it there, or remove it from the agent file`;
      problems.push({ code: 'target-not-declared', subject: `${subject}:${name}`, message });
    }
  }
  if (rolesOf(file).includes('gateway') && !self.roles.includes('gateway')) {
    const message = `control does not allow this host to be a gateway; revoke ${self.host} and join again with a token made with --gateway`;
    problems.push({ code: 'gateway-not-allowed', subject: 'gateway', message });
  }
  const outside = [...services.values()]
    .filter((known) => known.address === undefined)
    .map((known) => known.service.name);
  if (outside.length > 0) {
    const message = `--vip-range is too small for the addresses of ${outside.slice(0, 10).join(', ')}${outside.length > 10 ? ' and more' : ''}; give a larger one`;
    problems.push({ code: 'vip-range-small', subject: '--vip-range', message });
  }
  return problems;
}
