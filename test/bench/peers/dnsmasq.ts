/** dnsmasq, for DNS only: it answers the names that Weft answers, from host records. */
import type { Path } from '../path.ts';
import { SERVERS } from '../servers.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';

export const dnsmasq: Peer = {
  name: 'dnsmasq',
  version: (stage) => askVersion(stage.client, [stage.program('dnsmasq'), '-v']),
  missing: (stage) => (stage.installed('dnsmasq') ? undefined : 'dnsmasq is not installed'),
  async start(stage): Promise<Path> {
    const port = await stage.port();
    const process = stage.client.start([
      stage.program('dnsmasq'),
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      `--port=${port}`,
      '--listen-address=127.0.0.1',
      '--bind-interfaces',
      '--no-resolv',
      '--no-hosts',
      '--user=',
      '--group=',
      '--pid-file=',
      '--log-facility=-',
      '--local=/internal/',
      '--local-ttl=5',
      ...SERVERS.map((name, index) => `--host-record=${name}.internal,127.80.0.${index + 1}`),
    ]);
    await process.output(/started/);
    return {
      tcp: () => undefined,
      udp: () => undefined,
      http: undefined,
      dns: { host: '127.0.0.1', port },
      processes: [process],
    };
  },
};
