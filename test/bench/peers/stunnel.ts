/** stunnel at both ends: TLS 1.3, both certificates verified; else as its defaults have it. */
import type { Endpoint } from '../path.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';
import { makeCertificates, type Pair } from './certificates.ts';
import { planHops, proxyPath, writeOn } from './proxy.ts';

interface Side {
  readonly client: boolean;
  readonly authority: string;
  readonly pair: Pair;
  readonly services: readonly { readonly name: string; readonly accept: Endpoint; readonly connect: Endpoint }[];
}

function configuration({ client, authority, pair, services }: Side): string {
  return `
foreground = yes
pid =
syslog = no
debug = warning
client = ${client ? 'yes' : 'no'}
sslVersion = TLSv1.3
cert = ${pair.certificate}
key = ${pair.key}
CAfile = ${authority}
verifyChain = yes
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
${services
  .map(
    ({ name, accept, connect }) => `
[${name}]
accept = ${accept.host}:${accept.port}
connect = ${connect.host}:${connect.port}`,
  )
  .join('\n')}
`;
}

export const stunnel: Peer = {
  name: 'stunnel4',
  version: (stage) => askVersion(stage.client, [stage.program('stunnel4'), '-version']),
  missing(stage) {
    const absent = ['stunnel4', 'openssl'].find((program) => !stage.installed(program));
    return absent === undefined ? undefined : `${absent} is not installed`;
  },
  async start(stage) {
    const { authority, client, server } = await makeCertificates(stage);
    const hops = await planHops(stage);
    const near = configuration({
      client: true,
      authority,
      pair: client,
      services: hops.map((hop) => ({ name: hop.name, accept: hop.near, connect: hop.far })),
    });
    const far = configuration({
      client: false,
      authority,
      pair: server,
      services: hops.map((hop) => ({ name: hop.name, accept: hop.far, connect: hop.target })),
    });
    return proxyPath(stage, hops, [
      stage.server.start([stage.program('stunnel4'), writeOn(stage.server, 'stunnel.conf', far)]),
      stage.client.start([stage.program('stunnel4'), writeOn(stage.client, 'stunnel.conf', near)]),
    ]);
  },
};
