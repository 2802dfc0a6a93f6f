/** spiped at both ends: a process for each server, all with one key file. */

import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../path.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';
import { planHops, proxyPath, writeOn } from './proxy.ts';

export const spiped: Peer = {
  name: 'spiped',
  version: (stage) => askVersion(stage.client, [stage.program('spiped'), '-v']),
  missing: (stage) => (stage.installed('spiped') ? undefined : 'spiped is not installed'),
  async start(stage) {
    const hops = await planHops(stage);
    const secret = randomBytes(32).toString('hex');
    const [nearKey, farKey] = [
      writeOn(stage.client, 'spiped.key', secret),
      writeOn(stage.server, 'spiped.key', secret),
    ];
    const program = (mode: '-e' | '-d', source: Endpoint, target: Endpoint, key: string): string[] => {
      // Its own bound of 100 connections counts those that are being closed, too.
      return [
        stage.program('spiped'),
        mode,
        '-F',
        '-n',
        '1000',
        '-s',
        written(source),
        '-t',
        written(target),
        '-k',
        key,
      ];
    };
    return proxyPath(stage, hops, [
      ...hops.map((hop) => stage.server.start(program('-d', hop.far, hop.target, farKey))),
      ...hops.map((hop) => stage.client.start(program('-e', hop.near, hop.far, nearKey))),
    ]);
  },
};

function written({ host, port }: Endpoint): string {
  return `[${host}]:${port}`;
}
