/** What is wrong with one service by itself. */
import { LIMITS } from './limits.ts';
import type { PortRange, PublicIngress, RulePorts, Service } from './mesh.ts';
import { publicHostProblem, serviceNameProblem, tagProblem } from './names.ts';
import { countPorts, formatPortRange, includesPort, MAX_SERVICE_PORTS } from './ports.ts';
import { type FieldProblem, problem, problemIf, quote } from './problem.ts';
import { isKind, unportableProblem } from './selector.ts';

export function checkService(service: Service): FieldProblem[] {
  const { name, kind, ports, autoPorts, tags, public: ingress, description } = service;
  const field = `services.${name}`;
  const wrong = serviceNameProblem(name) ?? unportableProblem(name);
  const called = [
    ...problemIf(
      ports.length === 0 && autoPorts !== true,
      `${field}.ports`,
      'expected at least one port; a service that receives nothing is a worker',
    ),
    ...checkPorts(ports, `${field}.ports`),
    ...(ingress === undefined ? [] : checkPublic(ingress, service, `${field}.public`)),
  ];
  return [
    ...problemIf(wrong !== undefined, field, `${quote(name)} is not a service name: ${wrong}`),
    ...problemIf(!isKind(kind), `${field}.kind`, 'expected web, private or worker'),
    ...(kind === 'worker' ? checkWorker(service, field) : called),
    ...checkTags(tags, field),
    ...problemIf(
      !isDescription(description),
      `${field}.description`,
      `expected one line of 1 to ${LIMITS.description} characters`,
    ),
  ];
}

function checkWorker({ ports, autoPorts, public: ingress }: Service, field: string): FieldProblem[] {
  const nothing = 'a worker receives nothing; expected no';
  return [
    ...problemIf(ports.length > 0 || autoPorts === true, `${field}.ports`, `${nothing} ports, or kind private`),
    ...problemIf(ingress !== undefined, `${field}.public`, `${nothing} public, or kind web`),
  ];
}

function checkPorts(ports: readonly PortRange[], field: string): FieldProblem[] {
  const problems = ports.flatMap((range, index) => checkRange(range, `${field}[${index}]`));
  if (problems.length > 0) return problems;
  const total = countPorts(ports);
  if (total > MAX_SERVICE_PORTS) return [problem(field, `${total} ports; expected at most ${MAX_SERVICE_PORTS}`)];
  return checkOverlaps(ports, field);
}

export function checkRange(range: RulePorts, field: string): FieldProblem[] {
  const whole = Number.isInteger(range.first) && Number.isInteger(range.last);
  if (whole && range.first >= 1 && range.first <= range.last && range.last <= 65_535) return [];
  return [problem(field, `${range.first}-${range.last} is no range; expected ports from 1 to 65535, lowest first`)];
}

/** Sorted, so that only neighbours can overlap: a service has up to 1,024 ranges and a mesh 5,000 services. */
function checkOverlaps(ports: readonly PortRange[], field: string): FieldProblem[] {
  const sorted = ports
    .map((range, index) => ({ range, index }))
    .sort(
      (a, b) => a.range.protocol.localeCompare(b.range.protocol) || a.range.first - b.range.first || a.index - b.index,
    );
  const problems: FieldProblem[] = [];
  let widest = sorted[0];
  for (const entry of sorted.slice(1)) {
    if (widest === undefined) break;
    const apart = widest.range.protocol !== entry.range.protocol || widest.range.last < entry.range.first;
    if (!apart) {
      const [earlier, later] = widest.index < entry.index ? [widest, entry] : [entry, widest];
      const message = `${formatPortRange(later.range)} overlaps ${formatPortRange(earlier.range)}; expected each port once`;
      problems.push(problem(`${field}[${later.index}]`, message));
    }
    if (apart || entry.range.last > widest.range.last) widest = entry;
  }
  return problems;
}

function checkPublic(ingress: PublicIngress, service: Service, field: string): FieldProblem[] {
  if (service.kind !== 'web') {
    return [problem(field, `only a web service is reached from the internet; this one is ${service.kind}`)];
  }
  const { port, hosts, responseTimeoutMs: timeout = LIMITS.responseTimeoutMs } = ingress;
  const { publicHosts: mostHosts, responseTimeoutMs: longest } = LIMITS;
  const undeclared = `${port} is not declared in ports; expected one of the service's TCP ports`;
  const crowded = `expected 1 to ${mostHosts} host names; a gateway routes by them`;
  const timeless = `${timeout} ms; expected 1s to ${longest / 3_600_000}h`;
  return [
    ...problemIf(!includesPort(service.ports, port, 'tcp'), `${field}.port`, undeclared),
    ...problemIf(hosts.length === 0 || hosts.length > mostHosts, `${field}.hosts`, crowded),
    ...problemIf(timeout < 1_000 || timeout > longest, `${field}.responseTimeout`, timeless),
    ...hosts.flatMap((host, index) => {
      const wrong = publicHostProblem(host);
      return problemIf(wrong !== undefined, `${field}.hosts[${index}]`, `${quote(host)}: ${wrong}`);
    }),
  ];
}

/** Tags of a service or an agent, at `field`. */
export function checkTags(tags: readonly string[], field: string): FieldProblem[] {
  if (tags.length > LIMITS.tags)
    return [problem(`${field}.tags`, `${tags.length} tags; expected at most ${LIMITS.tags}`)];
  return tags.flatMap((tag, index) => {
    const wrong = tags.indexOf(tag) < index ? 'given twice; expected each tag once' : tagProblem(tag);
    return wrong === undefined ? [] : [problem(`${field}.tags[${index}]`, `${quote(tag)}: ${wrong}`)];
  });
}

function isDescription(text: string | undefined): boolean {
  return (
    text === undefined ||
    (text.length <= LIMITS.description &&
      /^[^\p{Cc}\p{Cf}\u2028\u2029]*[^\p{Cc}\p{Cf}\u2028\u2029\s][^\p{Cc}\p{Cf}\u2028\u2029]*$/u.test(text))
  );
}
