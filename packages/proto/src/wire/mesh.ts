/** The mesh, service, rule and ports, wire to model and back. What a mesh means is checked by validateMesh, after this. */

import { closedRule } from '../model/closed-rule.ts';
import { LIMITS, WIRE_LIMITS } from '../model/limits.ts';
import type {
  AgentSettings,
  Mesh,
  PolicyTest,
  PortRange,
  PublicIngress,
  Rule,
  RulePlaces,
  RulePorts,
  Service,
} from '../model/mesh.ts';
import { readSelector } from '../model/selector.ts';
import { defined } from '../model/values.ts';
import { callerName, callerToWire } from './caller.ts';
import { integer, list, parts, required, text } from './check.ts';
import { actionCodec, type EnumCodec, kindCodec, protocolCodec, ruleProtocolCodec } from './enums.ts';
import { WireError } from './errors.ts';
import type * as pb from './pb.ts';
import { durationFromWire, durationToWire } from './time.ts';

export function portsToWire(ranges: readonly RulePorts[]): pb.PortRange[] {
  return ranges.map(({ protocol, first, last }) => ({ protocol: ruleProtocolCodec.toWire(protocol), first, last }));
}

/** Throws WireError. */
export function portsFromWire(
  ranges: readonly pb.Outgoing<pb.PortRange>[] | null | undefined,
  field: string,
): PortRange[] {
  return rangesFromWire(ranges, field, protocolCodec);
}

/** Without those of a protocol that is not known. Throws WireError. */
export function knownPortsFromWire(
  ranges: readonly pb.Outgoing<pb.PortRange>[] | null | undefined,
  field: string,
): PortRange[] {
  return partialRanges(ranges, field, protocolCodec).filter(
    (range): range is PortRange => range.protocol !== undefined,
  );
}

/** What programs opened beside the declared ports; nothing where that is none. Throws WireError. */
export function openedFromWire(
  ranges: Parameters<typeof knownPortsFromWire>[0],
  field: string,
): { readonly opened?: readonly PortRange[] } {
  const opened = knownPortsFromWire(ranges, field);
  return opened.length === 0 ? {} : { opened };
}

function rangesFromWire<Transport extends string>(
  ranges: readonly pb.Outgoing<pb.PortRange>[] | null | undefined,
  field: string,
  codec: EnumCodec<Transport>,
): { readonly protocol: Transport; readonly first: number; readonly last: number }[] {
  return list(ranges, field, WIRE_LIMITS.portRanges, (range, at) => {
    return rangeOf(() => codec.fromWire(range.protocol, `${at}.protocol`), range, at);
  });
}

/** A protocol that is not known is undefined. */
function partialRanges<Transport extends string>(
  ranges: readonly pb.Outgoing<pb.PortRange>[] | null | undefined,
  field: string,
  codec: EnumCodec<Transport>,
) {
  return list(ranges, field, WIRE_LIMITS.portRanges, (range, at) => {
    return rangeOf(() => codec.knownFromWire(range.protocol, `${at}.protocol`), range, at);
  });
}

function rangeOf<Transport>(transport: () => Transport, range: pb.Outgoing<pb.PortRange>, field: string) {
  const { protocol, ends } = parts({
    protocol: transport,
    ends: () => {
      const first = integer(range.first, field, 1, 65_535);
      return { first, last: integer(range.last, field, first, 65_535) };
    },
  });
  return { protocol, ...ends };
}

export function serviceToWire({ public: ingress, autoPorts, ...service }: Service): pb.Outgoing<pb.Service> {
  return {
    ...service,
    ...defined({ autoPorts }),
    kind: kindCodec.toWire(service.kind),
    ports: portsToWire(service.ports),
    ...defined({ public: ingress && ingressToWire(ingress) }),
  };
}

function ingressToWire({
  port,
  hosts,
  responseTimeoutMs: ms,
}: PublicIngress): pb.Outgoing<pb.Message<'PublicIngress'>> {
  return {
    port,
    hosts: [...hosts],
    ...defined({ responseTimeout: ms === undefined ? undefined : durationToWire(ms) }),
  };
}

/** As an agent is told of it, which may be of a version that reads milliseconds. */
export function enforcedServiceToWire({ description: _, ...service }: Service): pb.Outgoing<pb.Service> {
  const wire = serviceToWire(service);
  const ms = service.public?.responseTimeoutMs;
  return ms === undefined ? wire : { ...wire, public: { ...wire.public, responseTimeoutMs: ms } };
}

/** Throws WireError. */
export function serviceFromWire(wire: pb.Outgoing<pb.Service>, field?: string): Service {
  return readService(wire, field, portsFromWire, (ingress, at) => {
    if (ingress.responseTimeoutMs)
      throw new WireError('wire-form', `${at}_ms`, 'is what control tells older agents; expected response_timeout');
    return timeoutFromWire(ingress, at);
  });
}

/** Of a netmap, where not all of its ports need be known, and control may be of a version that says milliseconds. Throws WireError. */
export function enforcedServiceFromWire(wire: pb.Outgoing<pb.Service>, field: string): Service {
  return readService(
    wire,
    field,
    knownPortsFromWire,
    (ingress, at) =>
      timeoutFromWire(ingress, at) ?? (integer(ingress.responseTimeoutMs, `${at}_ms`, 0, 0xffff_ffff) || undefined),
  );
}

/** To the millisecond. */
function timeoutFromWire(
  { responseTimeout }: pb.Outgoing<pb.Message<'PublicIngress'>>,
  field: string,
): number | undefined {
  const ms = durationFromWire(responseTimeout, field);
  return ms === undefined ? undefined : Math.round(ms);
}

function readService(
  wire: pb.Outgoing<pb.Service>,
  field: string | undefined,
  readPorts: typeof portsFromWire,
  readTimeout: typeof timeoutFromWire,
): Service {
  const at = field ?? `services.${text(wire.name, 'services', WIRE_LIMITS.name)}`;
  const {
    public: ingress,
    tags,
    description,
    ...service
  } = parts({
    name: () => text(wire.name, field ?? 'services', WIRE_LIMITS.name),
    kind: () => kindCodec.fromWire(wire.kind, `${at}.kind`),
    ports: () => readPorts(wire.ports, `${at}.ports`),
    public: () => (wire.public ? readIngress(wire.public, `${at}.public`, readTimeout) : undefined),
    tags: () => list(wire.tags, `${at}.tags`, LIMITS.tags, shortText),
    description: () => text(wire.description, `${at}.description`, WIRE_LIMITS.sentence) || undefined,
  });
  return {
    ...service,
    ...(wire.autoPorts === true ? { autoPorts: true } : {}),
    ...defined({ public: ingress }),
    tags,
    ...defined({ description }),
  };
}

function readIngress(
  wire: pb.Outgoing<pb.Message<'PublicIngress'>>,
  field: string,
  readTimeout: typeof timeoutFromWire,
): PublicIngress {
  const { responseTimeoutMs, ...ingress } = parts({
    port: () => integer(wire.port, `${field}.port`, 1, 65_535),
    hosts: () => list(wire.hosts, `${field}.hosts`, LIMITS.publicHosts, shortText),
    responseTimeoutMs: () => readTimeout(wire, `${field}.response_timeout`),
  });
  return { ...ingress, ...defined({ responseTimeoutMs }) };
}

export function ruleToWire(rule: Rule): pb.Outgoing<pb.Rule> {
  return { ...rule, action: actionCodec.toWire(rule.action), ports: portsToWire(rule.ports) };
}

/** Throws WireError. */
export function ruleFromWire(wire: pb.Outgoing<pb.Rule>, field: string): Rule {
  return parts({
    name: () => text(wire.name, `${field}.name`, WIRE_LIMITS.name),
    action: () => actionCodec.fromWire(wire.action, `${field}.action`),
    from: () => list(wire.from, `${field}.from`, LIMITS.selectors, shortText),
    to: () => list(wire.to, `${field}.to`, LIMITS.selectors, shortText),
    ports: () => rangesFromWire(wire.ports, `${field}.ports`, ruleProtocolCodec),
  });
}

/**
 * A rule of a netmap: what of it is not known here fails closed, and undefined is a rule that permits nothing then. Throws
 * WireError for one that is out of form.
 */
export function enforcedRuleFromWire(wire: pb.Outgoing<pb.Rule>, field: string): Rule | undefined {
  return closedRule({
    name: text(wire.name, `${field}.name`, WIRE_LIMITS.name),
    action: actionCodec.knownFromWire(wire.action, `${field}.action`),
    from: selectorsFromWire(wire.from, `${field}.from`),
    to: selectorsFromWire(wire.to, `${field}.to`),
    ports: partialRanges(wire.ports, `${field}.ports`, ruleProtocolCodec),
  });
}

function selectorsFromWire(wire: readonly string[] | null | undefined, field: string): (string | undefined)[] {
  const selectors = list(wire, field, LIMITS.selectors, shortText);
  if (selectors.length === 0) throw new WireError('wire-missing', field, 'selects nobody');
  return selectors.map((selector) => (readSelector(selector) === undefined ? undefined : selector));
}

export function meshToWire(mesh: Mesh): pb.Outgoing<pb.Mesh> {
  return {
    ...mesh,
    services: mesh.services.map(serviceToWire),
    defaultAction: actionCodec.toWire(mesh.defaultAction),
    policies: mesh.policies.map(ruleToWire),
    tests: mesh.tests.map((test) => ({
      ...test,
      from: callerToWire(test.from),
      protocol: protocolCodec.toWire(test.protocol),
      expect: actionCodec.toWire(test.expect),
    })),
  };
}

/** Throws WireError, whose field is in the mesh file's words. A default that is not set is allow. */
export function meshFromWire(wire: pb.Outgoing<pb.Mesh> | null | undefined): Mesh {
  const mesh = required(wire, 'mesh');
  return parts<Mesh>({
    network: () => text(mesh.network, 'network', WIRE_LIMITS.name),
    services: () => list(mesh.services, 'services', LIMITS.services, (service) => serviceFromWire(service)),
    defaultAction: () => (mesh.defaultAction ? actionCodec.fromWire(mesh.defaultAction, 'default') : 'allow'),
    policies: () => list(mesh.policies, 'policies', LIMITS.policies, ruleFromWire),
    agents: () => list(mesh.agents, 'agents', LIMITS.agents, (agent) => agentSettingsFromWire(agent)),
    tests: () => list(mesh.tests, 'tests', LIMITS.tests, testFromWire),
  });
}

/** Throws WireError. */
export function agentSettingsFromWire(wire: pb.Outgoing<pb.AgentSettings>, field?: string): AgentSettings {
  const at = field ?? `agents.${text(wire.name, 'agents', WIRE_LIMITS.name)}`;
  return parts({
    name: () => text(wire.name, field ?? 'agents', WIRE_LIMITS.name),
    tags: () => list(wire.tags, `${at}.tags`, LIMITS.tags, shortText),
    services: () => list(wire.services, `${at}.services`, LIMITS.runnable, shortText),
  });
}

/** Undefined for a mesh of no file. Throws WireError. */
export function rulePlacesFromWire({ file, policyLines, mesh }: pb.Outgoing<pb.ApplyRequest>): RulePlaces | undefined {
  const base = text(file, 'file', WIRE_LIMITS.name);
  if (base.includes('/')) throw new WireError('wire-form', 'file', 'expected the name of a file, without its path');
  const [told, rules] = [policyLines?.length ?? 0, mesh?.policies?.length ?? 0];
  if (told !== 0 && told !== rules)
    throw new WireError(
      'wire-length',
      'policy_lines',
      `${told} entries; expected none, or one for each of ${rules} policies`,
    );
  if (base === '') {
    if (told > 0) throw new WireError('wire-missing', 'file', 'not set, and policy_lines are lines of it');
    return undefined;
  }
  return { file: base, lines: policyLines ?? [] };
}

function testFromWire(wire: pb.Outgoing<pb.PolicyTest>, field: string): PolicyTest {
  return parts({
    from: () => callerName(wire.from, `${field}.from`),
    service: () => shortText(wire.service, `${field}.to`),
    port: () => integer(wire.port, `${field}.to`, 1, 65_535),
    protocol: () => protocolCodec.fromWire(wire.protocol, `${field}.to`),
    expect: () => actionCodec.fromWire(wire.expect, `${field}.expect`),
  });
}

function shortText(value: string | null | undefined, field: string): string {
  return text(value, field, WIRE_LIMITS.name);
}
