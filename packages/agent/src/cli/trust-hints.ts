/** Programs that take every caller from 127.0.0.0/8 for a local one, known by their port. README has the whole table. */
import type { AgentStatus } from '../observe/agent-status.ts';

const TRUSTING: ReadonlyMap<number, string> = new Map([
  [25, 'Postfix relays for 127.0.0.0/8: set mynetworks = 127.0.0.1/32 [::1]/128'],
  [80, "Apache's Require local admits 127.0.0.0/8: write Require ip 127.0.0.1"],
  [5432, 'Postgres takes a caller by samenet or 127.0.0.0/8 in pg_hba.conf: let no such line say trust'],
  [5672, "RabbitMQ takes guest from 127.0.0.0/8: rabbitmqctl delete_user guest, or change guest's password"],
  [6379, 'Redis 7.2 and newer takes 127.0.0.0/8 for local in protected-mode: set a password (requirepass)'],
  [15_672, "RabbitMQ takes guest from 127.0.0.0/8: rabbitmqctl delete_user guest, or change guest's password"],
]);

/** One sentence for each service of this host, such as `redis:6379: ...`, that has such a port. */
export function trustHints({ instances, names }: Pick<AgentStatus, 'instances' | 'names'>): string[] {
  const here = new Set(instances.map(({ service }) => `${service}.internal`));
  return names
    .filter(({ name, address }) => here.has(name) && address?.startsWith('127.') === true)
    .flatMap(({ name, ports }) =>
      ports.flatMap((port) => {
        // Of UDP they are NaN.
        const [first = 0, last = first] = port.split('-').map(Number);
        const within = [...TRUSTING].filter(([trusting]) => first <= trusting && trusting <= last);
        return within.map(([trusting, hint]) => `${name.replace(/\.internal$/, '')}:${trusting}: ${hint}`);
      }),
    );
}
