/** Where the agent file or the options ask for what control does not grant: told as problems, since the rest works. */
import { entryOf, InexactRules, includesPort, inexactEffect, listed, type Problem } from '@weft/proto';
import { type AgentFile, rolesOf } from '../config/agent-file.ts';
import { allHere, localSpeech, tellingsHere, toldOf } from '../flows/judge.ts';
import type { Sight, Telling } from '../owner/sight.ts';
import type { Netmap, NetmapSelf, NetmapSource } from '../words/netmap.ts';
import type { ProcessMatch } from '../words/owner.ts';
import type { Problems } from '../words/problems.ts';

/** Raises and clears them as the netmap or the file changes. */
export function followMismatches(
  file: { readonly current: AgentFile },
  netmap: NetmapSource,
  problems: Problems,
  sight: Sight,
): void {
  let standing: readonly Problem[] = [];
  const update = () => {
    const next = mismatches(file.current, netmap.current, sight);
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
export function mismatches(file: AgentFile, netmap: Netmap, sight: Sight): readonly Problem[] {
  const { self, services } = netmap;
  if (self === undefined) return [];
  const problems: Problem[] = [];
  const known = tellingsHere(netmap, file.services, sight);
  const told = toldOf(known);
  for (const [subject, { targets, match }] of file.services) {
    const telling = known.get(subject) ?? 'told';
    if (match !== undefined && telling !== 'told') problems.push(unmatched(subject, match, telling));
    const declared = services.get(subject);
    if (declared === undefined) {
      const message =
        `the mesh of network ${self.network} declares no service ${subject}, or none that this host may run; declare it there ` +
        `and weft apply it, or, if it is there, let the host run it by weft grant ${self.host} --services ${subject}`;
      problems.push({ code: 'service-not-declared', subject, message });
      continue;
    }
    if (!self.services.includes(subject)) {
      const message =
        `control allows this host no service ${subject}; remove it from the agent file, or let it run that by ` +
        `weft grant ${self.host} --services ${subject}`;
      problems.push({ code: 'service-not-allowed', subject, message });
    }
    for (const { port, protocol } of targets) {
      const { ports } = declared.service;
      const protocols = protocol === 'any' ? (['tcp', 'udp'] as const) : [protocol];
      if (protocols.some((one) => includesPort(ports, port, one))) continue;
      const name = protocol === 'any' ? `${port}` : `${port}/${protocol}`;
      const message = `the mesh declares no port ${name} of ${subject}, so its target is not used; declare it there, or remove it from the agent file`;
      problems.push({ code: 'target-not-declared', subject: `${subject}:${name}`, message });
    }
  }
  if (rolesOf(file).includes('gateway') && !self.roles.includes('gateway')) {
    const message = `control does not allow this host to be a gateway; make a token by weft token create --gateway --host ${self.host}, and start the agent with it once: it adds to what the host may, and ends nothing`;
    problems.push({ code: 'gateway-not-allowed', subject: 'gateway', message });
  }
  problems.push(...inexact(file, netmap, self, told));
  const outside = [...services.values()].filter(({ address }) => address === undefined);
  if (outside.length > 0) {
    const message = `--vip-range is too small for the addresses of ${listed(
      outside.map(({ service }) => service.name),
      10,
    )}; give a larger one`;
    problems.push({ code: 'vip-range-small', subject: '--vip-range', message });
  }
  return problems;
}

function unmatched(subject: string, match: ProcessMatch, telling: Exclude<Telling, 'told'>): Problem {
  if (telling === 'no-user') {
    const message =
      `/etc/passwd of this host has no user ${match.user}, so no process is taken for ${subject}; make that user, name another, or, of one ` +
      'that is kept elsewhere, give the number in quotes; then weft reload';
    return { code: 'match-no-user', subject, message };
  }
  if (telling === 'alike') {
    const message =
      `every process that fits match of ${subject} fits that of another service here as well, so that it is taken for neither and speaks as ` +
      'this host, which is denied more; let match tell the two apart, such as by unit';
    return { code: 'match-not-enforced', subject, message };
  }
  const words = Object.keys(match).join(' and ');
  const message =
    `this agent may not look into processes of other users, so which are ${subject} by ${words} it can tell of its own user's alone; the rest ` +
    `speak as this host, and are denied more: give it CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or let match name a user alone, of ${subject} ` +
    'and of whatever else runs as that user';
  return { code: 'match-not-enforced', subject, message };
}

/** So many words that control takes all of them. */
const MOST_RULES = 3;
const NAMED = 2;

/** By the rules, which stay the same while all else changes. */
const indexes = new WeakMap<Netmap['ruleSet'], InexactRules>();

function inexact({ services }: AgentFile, netmap: Netmap, self: NetmapSelf, told: ReadonlySet<string>): Problem[] {
  const { ruleSet } = netmap;
  const index = entryOf(indexes, ruleSet, () => new InexactRules(ruleSet.rules, ruleSet.defaultAction));
  const asHost = localSpeech(netmap, services).unknown.type === 'host';
  // One that names ports is several rules under one name.
  const found = new Map(
    index.on(netmap.hostSource(self), allHere(netmap, services), told, asHost).map((one) => [one.rule.name, one]),
  );
  if (found.size === 0) return [];
  const effects = [...found.values()]
    .slice(0, MOST_RULES)
    .map(({ rule, services: named }) => `rule ${rule.name} ${inexactEffect(rule, listed(named, NAMED), 'this host')}`);
  const more = found.size > MOST_RULES ? `; and ${found.size - MOST_RULES} more rules are not enforced as written` : '';
  const message = `${effects.join('; ')}${more}; give the service a host of its own, or name this one in the rule`;
  return [{ code: 'rules-inexact', subject: self.host, message }];
}
