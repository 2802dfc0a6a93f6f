/** HAProxy at both ends: TLS 1.3, both certificates verified; threads as its default has it. */
import type { Peer } from '../types.ts';
import { makeCertificates } from './certificates.ts';
import { planHops, proxyPath, writeOn } from './proxy.ts';

interface Proxy {
  readonly name: string;
  readonly bind: string;
  readonly server: string;
}

function configuration(proxies: readonly Proxy[]): string {
  return `
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${proxies.map(({ name, bind, server }) => `listen ${name}\n  bind ${bind}\n  server ${name} ${server}`).join('\n')}
`;
}

export const haproxy: Peer = {
  name: 'haproxy',
  missing(stage) {
    const absent = ['haproxy', 'openssl'].find((program) => !stage.installed(program));
    return absent === undefined ? undefined : `${absent} is not installed`;
  },
  async start(stage) {
    const { authority, client, server } = await makeCertificates(stage);
    const hops = await planHops(stage);
    const tls = (joined: string): string =>
      `ssl crt ${joined} ca-file ${authority} verify required ssl-min-ver TLSv1.3`;
    const near = hops.map((hop) => ({
      name: hop.name,
      bind: `${hop.near.host}:${hop.near.port}`,
      server: `${hop.far.host}:${hop.far.port} ${tls(client.joined)}`,
    }));
    const far = hops.map((hop) => ({
      name: hop.name,
      bind: `${hop.far.host}:${hop.far.port} ${tls(server.joined)}`,
      server: `${hop.target.host}:${hop.target.port}`,
    }));
    return proxyPath(stage, hops, [
      stage.server.start(['haproxy', '-db', '-f', writeOn(stage.server, 'haproxy.cfg', configuration(far))]),
      stage.client.start(['haproxy', '-db', '-f', writeOn(stage.client, 'haproxy.cfg', configuration(near))]),
    ]);
  },
};
