/** No peer at all: the client calls the server itself. What the stage, the loads and the servers can do. */
import { release, type } from 'node:os';
import type { Endpoint, Path } from '../path.ts';
import type { Peer } from '../types.ts';

export const direct: Peer = {
  name: 'direct',
  version: async () => `${type()} ${release().split('-')[0]}`,
  missing: () => undefined,
  async start(stage): Promise<Path> {
    const host = stage.server.address;
    await stage.serve(host);
    const at = (port: number): Endpoint => ({ host, port });
    return { tcp: at, udp: at, dns: undefined, http: undefined, processes: [] };
  },
};
