/** HAProxy at both ends: TLS 1.3, both certificates verified; threads as its default has it. */
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';
import { makeCertificates } from './certificates.ts';
import { planHops, proxyPath, writeOn } from './proxy.ts';

interface Proxy {
  readonly http?: true;
  readonly name: string;
  readonly bind: string;
  readonly server: string;
}

/** Its configuration file; "http" parses requests and answers, everything else goes through as it comes. */
export function configuration(proxies: readonly Proxy[]): string {
  return `
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${proxies
  .map(({ name, bind, server, http }) => {
    return `listen ${name}\n${http === undefined ? '' : '  mode http\n'}  bind ${bind}\n  server ${name} ${server}`;
  })
  .join('\n')}
`;
}

export const haproxy: Peer = {
  name: 'haproxy',
  version: (stage) => askVersion(stage.client, [stage.program('haproxy'), '-v']),
  missing(stage) {
    const absent = ['haproxy', 'openssl'].find((program) => !stage.installed(program));
    return absent === undefined ? undefined : `${absent} is not installed`;
  },
  async start(stage) {
    const { authority, client, server } = await makeCertificates(stage);
    const hops = await planHops(stage);
    const tls = (joined: string): string =>
      `ssl crt ${joined} ca-file ${authority} verify required ssl-min-ver TLSv1.3`;
    const near: Proxy[] = hops.map((hop) => ({
      name: hop.name,
      bind: `${hop.near.host}:${hop.near.port}`,
      server: `${hop.far.host}:${hop.far.port} ${tls(client.joined)}`,
    }));
    const far = hops.map((hop) => ({
      name: hop.name,
      bind: `${hop.far.host}:${hop.far.port} ${tls(server.joined)}`,
      server: `${hop.target.host}:${hop.target.port}`,
    }));
    const http = { host: '127.0.0.1', port: await stage.port() };
    const web = near.find(({ name }) => name === 'web');
    if (web !== undefined) near.push({ ...web, name: 'http', bind: `${http.host}:${http.port}`, http: true });
    const path = await proxyPath(stage, hops, [
      stage.server.start([
        stage.program('haproxy'),
        '-db',
        '-f',
        writeOn(stage.server, 'haproxy.cfg', configuration(far)),
      ]),
      stage.client.start([
        stage.program('haproxy'),
        '-db',
        '-f',
        writeOn(stage.client, 'haproxy.cfg', configuration(near)),
      ]),
    ]);
    return web === undefined ? path : { ...path, http };
  },
};
