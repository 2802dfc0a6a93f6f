/** Programs that take every caller from 127.0.0.0/8 for a local one, known by the port that they listen on. README has the whole table. */
import type { AgentStatus } from '../observe/agent-status.ts';

const POSTFIX = 'Postfix relays for 127.0.0.0/8: set mynetworks = 127.0.0.1/32 [::1]/128';
const APACHE = "Apache's Require local admits 127.0.0.0/8: write Require ip 127.0.0.1";
const RABBITMQ = "RabbitMQ takes guest from 127.0.0.0/8: rabbitmqctl delete_user guest, or change guest's password";
const TOMCAT =
  'Tomcat\'s manager may admit 127.0.0.0/8, as Debian has it: let its RemoteCIDRValve say allow="127.0.0.1/32, ::1/128"';

const TRUSTING: ReadonlyMap<number, string> = new Map([
  [25, POSTFIX],
  [80, APACHE],
  [443, APACHE],
  [587, POSTFIX],
  [5432, 'Postgres takes a caller by samenet or 127.0.0.0/8 in pg_hba.conf: let no such line say trust'],
  [5672, RABBITMQ],
  [6379, 'Redis 7.2 and newer takes 127.0.0.0/8 for local in protected-mode: set a password (requirepass)'],
  [8080, TOMCAT],
  [15_672, RABBITMQ],
]);

/** One sentence for each service of this host, such as `redis:6379: ...`, that is served at such a port. */
export function trustHints({
  instances,
  names,
  // An agent of the version before tells none.
  targets = [],
}: Pick<AgentStatus, 'instances' | 'names' | 'targets'>): string[] {
  const here = new Set(instances.map(({ service }) => `${service}.internal`));
  return names
    .filter(({ name, address }) => here.has(name) && address?.startsWith('127.') === true)
    .flatMap(({ name, ports }) => {
      const service = name.replace(/\.internal$/, '');
      const moved = targets.filter((target) => target.service === service && target.protocol !== 'udp');
      return ports.flatMap((port) => {
        // Of UDP they are NaN.
        const [first = 0, last = first] = port.split('-').map(Number);
        const within = (declared: number) => first <= declared && declared <= last;
        const itself = [...TRUSTING]
          .filter(([trusting]) => within(trusting) && !moved.some((target) => target.port === trusting))
          .map(([trusting, hint]) => `${service}:${trusting}: ${hint}`);
        const elsewhere = moved.flatMap((target) => {
          const hint = TRUSTING.get(target.targetPort);
          return hint === undefined || !within(target.port)
            ? []
            : [`${service}:${target.port}, served at port ${target.targetPort}: ${hint}`];
        });
        return [...itself, ...elsewhere];
      });
    });
}
