/** What differs between two meshes, in words. Two meshes that read the same are the same: order never matters. */
import {
  type AgentSettings,
  AUTO_PORTS,
  byText,
  durationWords,
  formatPortRange,
  formatRulePorts,
  type Mesh,
  type PolicyTest,
  type PublicIngress,
  type Rule,
  type RulePorts,
  type Service,
} from '@weft/proto';
import type { Change } from './types.ts';

export interface MeshDifference {
  readonly changes: readonly Change[];
  /** Whether something that was permitted may now be denied. Said too often rather than too seldom. */
  readonly takesAway: boolean;
}

/** Property to its value in words. */
type Description = Readonly<Record<string, string>>;

/** Of every field but the name, by which entries are told apart: one that the model gains does not compile until it is here. */
type Described<T> = { readonly [Field in Exclude<keyof T, 'name'>]-?: string };

interface Section {
  readonly changes: readonly Change[];
  readonly takesAway: boolean;
}

/** `before` is undefined for a network that is not there yet. */
export function diffMeshes(before: Mesh | undefined, after: Mesh): MeshDifference {
  const sections: Section[] = [
    // A host that may run it already is denied what is denied to it.
    diffSection('service', before?.services ?? [], after.services, describeService, {
      add: () => after.policies.some(({ action }) => action === 'deny'),
      remove: () => true,
    }),
    diffSection('policy', before?.policies ?? [], after.policies, describeRule, {
      add: (rule) => rule.action === 'deny',
      remove: (rule) => rule.action === 'allow',
    }),
    // A tag may bring its host under a rule that denies, as well as take it out of one that allows. So does a service that it may run:
    // what is denied to that is denied to its processes.
    diffSection('agent', before?.agents ?? [], after.agents, describeAgent, { add: () => true, remove: () => true }),
  ];
  const changes: Change[] = [];
  if (before === undefined) changes.push({ operation: 'add', subject: `network ${after.network}`, detail: '' });
  for (const section of sections) changes.push(...section.changes);
  const defaultBefore = before?.defaultAction ?? 'allow';
  if (defaultBefore !== after.defaultAction) {
    changes.push({ operation: 'change', subject: 'default', detail: `${defaultBefore} -> ${after.defaultAction}` });
  }
  const tests = diffTests(before?.tests ?? [], after.tests);
  if (tests !== undefined) changes.push(tests);
  return {
    changes,
    takesAway:
      sections.some((section) => section.takesAway) || (defaultBefore === 'allow' && after.defaultAction === 'deny'),
  };
}

function diffSection<T extends { readonly name: string }>(
  word: string,
  before: readonly T[],
  after: readonly T[],
  describe: (entry: T) => Description,
  denies: { readonly add: (entry: T) => boolean; readonly remove: (entry: T) => boolean },
): Section {
  const old = new Map(before.map((entry) => [entry.name, entry]));
  const kept = new Set(after.map((entry) => entry.name));
  const changes: Change[] = [];
  let takesAway = false;
  for (const entry of before) {
    if (kept.has(entry.name)) continue;
    changes.push({ operation: 'remove', subject: `${word} ${entry.name}`, detail: '' });
    takesAway ||= denies.remove(entry);
  }
  for (const entry of after) {
    const previous = old.get(entry.name);
    const subject = `${word} ${entry.name}`;
    if (previous === undefined) {
      changes.push({ operation: 'add', subject, detail: inWords(describe(entry)) });
      takesAway ||= denies.add(entry);
    } else {
      const detail = differenceInWords(describe(previous), describe(entry));
      if (detail === '') continue;
      changes.push({ operation: 'change', subject, detail });
      takesAway = true;
    }
  }
  return { changes, takesAway };
}

function diffTests(before: readonly PolicyTest[], after: readonly PolicyTest[]): Change | undefined {
  const words = (tests: readonly PolicyTest[]): string => tests.map(describeTest).sort(byText).join('; ');
  if (words(before) === words(after)) return undefined;
  return { operation: 'change', subject: 'tests', detail: `${before.length} -> ${after.length}` };
}

/** Whether the two read the same, whatever the order within. */
export function sameService(one: Service, other: Service): boolean {
  return one === other || differenceInWords(describeService(one), describeService(other)) === '';
}

export function sameRule(one: Rule, other: Rule): boolean {
  return one === other || differenceInWords(describeRule(one), describeRule(other)) === '';
}

function describeService(service: Service): Described<Service> {
  const { kind, ports, autoPorts, public: ingress, tags, description = '' } = service;
  return {
    kind,
    ports: [sortedPorts(ports, formatPortRange), autoPorts === true ? AUTO_PORTS : ''].filter(Boolean).join(', '),
    // Told among the ports, as the mesh file has it.
    autoPorts: '',
    public: ingress === undefined ? '' : Object.values(describePublic(ingress)).join(''),
    tags: sorted(tags),
    description,
  };
}

/** As parts of a sentence, in its order. */
function describePublic({ port, hosts, responseTimeoutMs }: PublicIngress): Described<PublicIngress> {
  return {
    port: `${port}`,
    hosts: ` at ${sorted(hosts)}`,
    responseTimeoutMs: responseTimeoutMs === undefined ? '' : `, responseTimeout ${durationWords(responseTimeoutMs)}`,
  };
}

function describeRule(rule: Rule): Described<Rule> {
  return {
    action: rule.action,
    from: sorted(rule.from),
    to: sorted(rule.to),
    ports: sortedPorts(rule.ports, formatRulePorts),
  };
}

function describeAgent(agent: AgentSettings): Described<AgentSettings> {
  return { tags: sorted(agent.tags), services: sorted(agent.services) };
}

/** `web -> redis:6379 allow`. */
function describeTest(test: PolicyTest): string {
  const port = formatPortRange({ protocol: test.protocol, first: test.port, last: test.port });
  return `${test.from} -> ${test.service}:${port} ${test.expect}`;
}

function sorted(words: readonly string[]): string {
  return [...new Set(words)].sort(byText).join(', ');
}

/** By number: as text, 15672 would stand before 5672. */
function sortedPorts<Ports extends RulePorts>(ranges: readonly Ports[], written: (ports: Ports) => string): string {
  const ordered = [...ranges].sort(
    (one, other) => one.first - other.first || one.last - other.last || byText(one.protocol, other.protocol),
  );
  return [...new Set(ordered.map(written))].join(', ');
}

function inWords(description: Description): string {
  return Object.entries(description)
    .filter(([, value]) => value !== '')
    .map(([property, value]) => `${property} ${value}`)
    .join('; ');
}

function differenceInWords(before: Description, after: Description): string {
  return Object.keys(after)
    .filter((property) => before[property] !== after[property])
    .map((property) => `${property} ${before[property] || 'none'} -> ${after[property] || 'none'}`)
    .join('; ');
}
