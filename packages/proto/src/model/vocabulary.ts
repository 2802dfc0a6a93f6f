/** What of a mesh, and of a netmap, an agent of some capability can read. */
import type { AgentRole } from './agent-role.ts';
import { PUBLISHES_OPENED, SELECTS_INTERNET, SELECTS_USERS, UNSAID_CAPABILITY } from './capability.ts';
import { closedRule } from './closed-rule.ts';
import type { Kind, Mesh, Protocol, Rule, RulePorts, Service } from './mesh.ts';
import type { NetmapItem } from './netmap.ts';
import type { AUTO_PORTS } from './ports.ts';
import { readSelector, type SelectorType } from './selector.ts';

/** Which capability brought each word that a netmap may hold. Who has less is not sent it. */
export interface Vocabulary {
  readonly selectors: Readonly<Record<SelectorType, number>>;
  readonly protocols: Readonly<Record<Protocol | 'any', number>>;
  readonly kinds: Readonly<Record<Kind, number>>;
  readonly roles: Readonly<Record<AgentRole, number>>;
  readonly ports: Readonly<Record<typeof AUTO_PORTS, number>>;
}

export const VOCABULARY: Vocabulary = {
  selectors: { service: 1, kind: 1, host: 1, tag: 1, internet: SELECTS_INTERNET, user: SELECTS_USERS },
  protocols: { tcp: 1, udp: 1, any: 1 },
  kinds: { web: 1, private: 1, worker: 1 },
  roles: { gateway: 1 },
  ports: { auto: PUBLISHES_OPENED },
};

/** A word of a mesh, and the least capability that understands it. */
export interface WordUsed {
  /** Path in the mesh file's words, such as policies[2].from[0]. */
  readonly field: string;
  /** What uses it, such as `policy no-admin-ui`. */
  readonly of: string;
  /** In words, such as `the selector tag:eu`. */
  readonly what: string;
  readonly capability: number;
}

/** Each that somebody of less capability than `least` would not understand. */
export function wordsBeyond(mesh: Mesh, least: number, words: Vocabulary = VOCABULARY): WordUsed[] {
  const used = [
    ...mesh.services.flatMap((service) => wordsOfService(service, words)),
    ...mesh.policies.flatMap((rule, index) => wordsOfRule(rule, `policies[${index}]`, words)),
  ];
  return used.filter(({ capability }) => capability > least);
}

function wordsOfService({ name, kind, ports, autoPorts }: Service, words: Vocabulary): WordUsed[] {
  const [field, of] = [`services.${name}`, `service ${name}`];
  const capability = words.kinds[kind];
  return [
    { field: `${field}.kind`, of, what: `the kind ${kind}`, capability },
    ...wordsOfPorts(ports, { field, of }, words),
    ...(autoPorts === true ? [{ field: `${field}.ports`, of, what: 'ports: auto', capability: words.ports.auto }] : []),
  ];
}

function wordsOfRule({ name, from, to, ports }: Rule, field: string, words: Vocabulary): WordUsed[] {
  const of = `policy ${name}`;
  const selectors = (side: string, texts: readonly string[]): WordUsed[] =>
    texts.map((text, index) => {
      const capability = capabilityOfSelector(text, words);
      return { field: `${field}.${side}[${index}]`, of, what: `the selector ${text}`, capability };
    });
  return [...selectors('from', from), ...selectors('to', to), ...wordsOfPorts(ports, { field, of }, words)];
}

function wordsOfPorts(
  ports: readonly RulePorts[],
  { field, of }: Pick<WordUsed, 'field' | 'of'>,
  words: Vocabulary,
): WordUsed[] {
  return ports.map(({ protocol }, index) => {
    return {
      field: `${field}.ports[${index}]`,
      of,
      what: `the protocol ${protocol}`,
      capability: words.protocols[protocol],
    };
  });
}

function capabilityOfSelector(text: string, words: Vocabulary): number {
  const { type } = readSelector(text) ?? ANYONE;
  return type === 'any' ? UNSAID_CAPABILITY : words.selectors[type];
}

const ANYONE = { type: 'any' } as const;

/**
 * The item as an agent of this capability may be sent it: a rule that it cannot read fails closed, ports and a service of a kind that it does not know are left out,
 * a role is not granted. The same object where it can read all of it; undefined where nothing is left.
 */
export function itemFor(item: NetmapItem, capability: number, words: Vocabulary = VOCABULARY): NetmapItem | undefined {
  const reads = (needed: number): boolean => needed <= capability;
  switch (item.type) {
    case 'service': {
      const { service } = item;
      const ports = service.ports.filter(({ protocol }) => reads(words.protocols[protocol]));
      if (!reads(words.kinds[service.kind])) return undefined;
      const { autoPorts, ...declared } = service;
      // Also where none is left: one that it does not hear of it takes for a worker without tags, which does not run there, and rules would be lost.
      if (autoPorts === true && !reads(words.ports.auto)) return { ...item, service: { ...declared, ports } };
      return ports.length === service.ports.length ? item : { ...item, service: { ...service, ports } };
    }
    case 'policy': {
      const rules = item.rules.flatMap((rule) => ruleFor(rule, capability, words) ?? []);
      return rules.length === item.rules.length && rules.every((rule, at) => rule === item.rules[at])
        ? item
        : { ...item, rules };
    }
    case 'instance': {
      const notListening = item.notListening.filter(({ protocol }) => reads(words.protocols[protocol]));
      const { opened, ...declared } = item;
      if (opened !== undefined && !reads(words.ports.auto)) return { ...declared, notListening };
      return notListening.length === item.notListening.length ? item : { ...item, notListening };
    }
    case 'peer':
    case 'self': {
      const roles = item.roles.filter((role) => reads(words.roles[role]));
      return roles.length === item.roles.length ? item : { ...item, roles };
    }
  }
}

function ruleFor(rule: Rule, capability: number, words: Vocabulary): Rule | undefined {
  if (wordsOfRule(rule, '', words).every((word) => word.capability <= capability)) return rule;
  const known = (text: string): string | undefined =>
    capabilityOfSelector(text, words) <= capability ? text : undefined;
  return closedRule({
    ...rule,
    from: rule.from.map(known),
    to: rule.to.map(known),
    ports: rule.ports.map((ports) => ({
      ...ports,
      protocol: words.protocols[ports.protocol] <= capability ? ports.protocol : undefined,
    })),
  });
}

/** Who has so much is sent everything as it is. */
export function wholeFrom(words: Vocabulary = VOCABULARY): number {
  const numbers = Object.values(words).flatMap((each: Readonly<Record<string, number>>) => Object.values(each));
  return Math.max(...numbers);
}
