/** A large mesh as people write them, the same at every run: services with a few tags, rules about pairs, tags, kinds and hosts. */
import type { Destination, Rule, Service, Source } from '@weft/proto';

export const SERVICES = 1_000;
export const RULES = 10_000;
const TAGS = 50;
const HOSTS = 200;

/** Numbers below `limit` that look random and are the same every time (a linear congruential generator). */
export function createDice(seed = 1): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export function makeServices(): Service[] {
  const dice = createDice(7);
  return Array.from({ length: SERVICES }, (_, index) => {
    const port = { protocol: 'tcp', first: 1_000 + dice(8_000), last: 0 } as const;
    const ports = [{ ...port, last: port.first }];
    if (dice(4) === 0) ports.push({ protocol: 'tcp', first: 20_000, last: 20_099 } as (typeof ports)[number]);
    const tags = [`tag-${dice(TAGS)}`, `tag-${dice(TAGS)}`];
    const web = index % 5 === 0;
    return {
      name: `service-${index}`,
      kind: web ? 'web' : 'private',
      ports,
      tags,
      ...(web ? { public: { port: port.first, hosts: [`www-${index}.example.com`] } } : {}),
    };
  });
}

/** Two thirds are about a pair of services; three in ten deny. */
export function makeRules(): Rule[] {
  const dice = createDice(11);
  const service = () => `service-${dice(SERVICES)}`;
  const tag = () => `tag:tag-${dice(TAGS)}`;
  return Array.from({ length: RULES }, (_, index) => {
    const shape = dice(30);
    const [from, to] =
      shape < 20
        ? [[service()], [service()]]
        : shape < 24
          ? [[tag()], [service()]]
          : shape < 26
            ? [[service(), service(), service()], [tag()]]
            : shape < 28
              ? [[`host:host-${dice(HOSTS)}`], [service()]]
              : shape < 29
                ? [['kind:web'], [service()]]
                : [[tag()], [tag()]];
    const ports = dice(3) === 0 ? [{ protocol: 'tcp', first: 20_000, last: 20_010 } as const] : [];
    return { name: `rule-${index}`, action: dice(10) < 3 ? 'deny' : 'allow', from, to, ports };
  });
}

/** Calls as they come: most to a declared port, one in ten to another, one in five from a host, some from the internet. */
export function makeCalls(services: readonly Service[], count: number): { source: Source; destination: Destination }[] {
  const dice = createDice(13);
  const hosts = Array.from({ length: HOSTS }, (_, index): Source => {
    return { type: 'host', name: `host-${index}`, tags: [`tag-${dice(TAGS)}`], services: [] };
  });
  const sources = services.map((service): Source => ({ type: 'service', service }));
  const pick = <T>(list: readonly T[]): T => {
    const one = list[dice(list.length)];
    if (one === undefined) throw new Error('an empty list');
    return one;
  };
  return Array.from({ length: count }, () => {
    const service = pick(services);
    const range = pick(service.ports);
    const port = dice(10) === 0 ? 9_999 : range.first + dice(range.last - range.first + 1);
    const kind = dice(20);
    const source: Source = kind === 0 ? { type: 'internet' } : kind < 5 ? pick(hosts) : pick(sources);
    return { source, destination: { service, port, protocol: 'tcp' } };
  });
}
