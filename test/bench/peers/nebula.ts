/** Nebula: a lighthouse on the server host, one more host beside it, everything allowed. */
import { join } from 'node:path';
import { until } from '../../harness/until.ts';
import { TUN_ADDRESSES } from '../stage.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';
import { writeOn } from './proxy.ts';
import { tunMissing, tunPath } from './tun.ts';

const ADDRESSES = { server: TUN_ADDRESSES.nebula, client: '10.214.7.2' } as const;
const PORT = 4242;

const CERTIFICATES = `
set -e; umask 077; mkdir -p "$0"; cd "$0"
"$1" ca -name bench
"$1" sign -name server -ip ${ADDRESSES.server}/24
"$1" sign -name client -ip ${ADDRESSES.client}/24
`;

function configuration(end: 'client' | 'server', folder: string, lighthouse: string): string {
  const server = end === 'server';
  return `
pki: { ca: ${folder}/ca.crt, cert: ${folder}/${end}.crt, key: ${folder}/${end}.key }
static_host_map: { "${ADDRESSES.server}": ["${lighthouse}:${PORT}"] }
lighthouse: { am_lighthouse: ${server}, interval: 60, hosts: [${server ? '' : `"${ADDRESSES.server}"`}] }
listen: { host: 0.0.0.0, port: ${PORT} }
tun: { dev: nebula1, mtu: 1300 }
logging: { level: warning, format: text }
firewall:
  outbound: [{ port: any, proto: any, host: any }]
  inbound: [{ port: any, proto: any, host: any }]
`;
}

export const nebula: Peer = {
  name: 'nebula',
  version: (stage) => askVersion(stage.client, [stage.program('nebula'), '-version']),
  missing: (stage) => tunMissing(stage, 'nebula', 'nebula-cert'),
  async start(stage) {
    const { made, server, client } = stage;
    if (made === undefined) throw new Error('nebula needs made hosts');
    const folder = join(server.dir, 'nebula');
    await server.check(['sh', '-c', CERTIFICATES, folder, stage.program('nebula-cert')]);
    const processes = (['server', 'client'] as const).map((end) => {
      const host = end === 'server' ? server : client;
      const file = writeOn(host, 'nebula.yml', configuration(end, folder, server.address));
      return made.startAsRoot(host, [stage.program('nebula'), '-config', file]);
    });
    await until('nebula has its device', async () => {
      const shown = await server.run(['ip', '-o', 'address', 'show', 'dev', 'nebula1']);
      return shown.stdout.includes(ADDRESSES.server);
    });
    return tunPath(stage, ADDRESSES.server, processes);
  },
};
