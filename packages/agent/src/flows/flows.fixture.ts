/** A netmap of two services, with a peer that runs one of them. */
import { compilePolicy, type Rule, type Service } from '@weft/proto';
import { createHostSources } from '../netmap/store.ts';
import type { Netmap } from '../words/netmap.ts';

const REDIS: Service = {
  name: 'redis',
  kind: 'private',
  ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
  tags: [],
};
const WEB: Service = { ...REDIS, name: 'web', kind: 'web' };
/** Denies what the default allows. */
export const DENY_WEB: Rule = { name: 'no-web', action: 'deny', from: ['web'], to: ['redis'], ports: [] };

export function netmap(revision: number, change: Partial<Netmap> & { readonly rules?: readonly Rule[] } = {}): Netmap {
  const { rules = [], ...rest } = change;
  const speaker = { agentId: 'p', host: 'peer', tags: [], services: ['web'], roles: [], address: '127.90.0.2' };
  const keys = { tunnelKey: new Uint8Array(32), psk: new Uint8Array(32), endpoints: [] };
  const address = '127.90.0.1';
  const services = new Map([REDIS, WEB].map((service) => [service.name, { service, address, instances: [] }]));
  return {
    timeline: 't',
    index: revision,
    revision,
    self: { ...speaker, agentId: 's', host: 'self', network: 'n', services: ['web', 'redis'] },
    services,
    peers: new Map([['p', { ...speaker, ...keys }]]),
    policy: compilePolicy({ revision, defaultAction: 'allow', rules }),
    ruleSet: { defaultAction: 'allow', rules },
    hostSource: createHostSources(rest.services ?? services),
    ...rest,
  };
}
