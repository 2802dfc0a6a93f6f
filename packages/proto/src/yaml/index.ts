/** A mesh as the file that `weft apply` would take to get it: one service, rule, host or test a line, in the order held. */
import { stringify } from 'yaml';
import { durationWords } from '../model/duration.ts';
import type {
  AgentSettings,
  Mesh,
  PolicyTest,
  PortRange,
  PublicIngress,
  Rule,
  RulePorts,
  Service,
} from '../model/mesh.ts';
import { AUTO_PORTS, formatPortRange, formatRulePorts } from '../model/ports.ts';
import { entryOf } from '../model/values.ts';

/** What may stand on one line. */
type Value = string | number | readonly Value[] | { readonly [key: string]: Value };

export function meshToYaml(mesh: Mesh): string {
  const { scalar, flow } = writer();
  const map = <T extends { readonly name: string }>(key: string, entries: readonly T[], words: (entry: T) => Value) =>
    section(key, entries, (entry) => `  ${scalar(entry.name)}: ${flow(words(entry))}`);
  const list = <T>(key: string, entries: readonly T[], words: (entry: T) => Value) =>
    section(key, entries, (entry) => `  - ${flow(words(entry))}`);
  return [
    `network: ${scalar(mesh.network)}\n`,
    map('services', mesh.services, serviceWords),
    `default: ${mesh.defaultAction}\n`,
    list('policies', mesh.policies, ruleWords),
    map('agents', mesh.agents, agentWords),
    list('tests', mesh.tests, testWords),
  ].join('');
}

/** As it stands in a file's list of policies. */
export function ruleToYaml(rule: Rule): string {
  return writer().flow(ruleWords(rule));
}

function section<T>(key: string, entries: readonly T[], line: (entry: T) => string): string {
  return entries.length === 0 ? '' : `${key}:\n${entries.map((entry) => `${line(entry)}\n`).join('')}`;
}

function serviceWords({ kind, ports, autoPorts, public: ingress, tags, description }: Service): Value {
  return {
    kind,
    ...(ports.length > 0 ? { ports: [...ports.map(portWords), ...(autoPorts ? [AUTO_PORTS] : [])] } : {}),
    ...(ports.length === 0 && autoPorts ? { ports: AUTO_PORTS } : {}),
    ...(ingress === undefined ? {} : { public: publicWords(ingress) }),
    ...(tags.length > 0 ? { tags } : {}),
    ...(description === undefined ? {} : { description }),
  };
}

function publicWords({ port, hosts, responseTimeoutMs }: PublicIngress): Value {
  return {
    port,
    hosts,
    ...(responseTimeoutMs === undefined ? {} : { responseTimeout: durationWords(responseTimeoutMs) }),
  };
}

function ruleWords({ name, action, from, to, ports }: Rule): Value {
  return { name, action, from, to, ...(ports.length > 0 ? { ports: ports.map(rulePortWords) } : {}) };
}

function agentWords({ tags, services }: AgentSettings): Value {
  return { ...(tags.length > 0 ? { tags } : {}), ...(services.length > 0 ? { services } : {}) };
}

function testWords({ from, service, port, protocol, expect }: PolicyTest): Value {
  return { from, to: `${service}:${formatPortRange({ protocol, first: port, last: port })}`, expect };
}

function portWords(range: PortRange): Value {
  return range.protocol === 'tcp' && range.first === range.last ? range.first : formatPortRange(range);
}

function rulePortWords(ports: RulePorts): Value {
  return ports.protocol === 'any' && ports.first === ports.last ? ports.first : formatRulePorts(ports);
}

/** The library decides how a scalar is written where a flow collection is around it; names come again and again. */
function writer(): { readonly scalar: (text: string) => string; readonly flow: (value: Value) => string } {
  const written = new Map<string, string>();
  const scalar = (text: string): string =>
    entryOf(written, text, () => {
      const list = stringify([text], { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 });
      return list.trim().slice(1, -1);
    });
  const flow = (value: Value): string => {
    if (typeof value === 'string') return scalar(value);
    if (typeof value === 'number') return String(value);
    if (isList(value)) return `[${value.map(flow).join(', ')}]`;
    const entries = Object.entries(value).map(([key, inside]) => `${key}: ${flow(inside)}`);
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  };
  return { scalar, flow };
}

/** Array.isArray does not tell a readonly array from a map. */
function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}
