import type { Peer } from '../types.ts';
import { direct } from './direct.ts';
import { dnsmasq } from './dnsmasq.ts';
import { haproxy } from './haproxy.ts';
import { nebula } from './nebula.ts';
import { spiped } from './spiped.ts';
import { stunnel } from './stunnel.ts';
import { createWeft } from './weft.ts';
import { wireguard } from './wireguard.ts';

export function allPeers(weft: Parameters<typeof createWeft>[0]): readonly Peer[] {
  return [direct, createWeft(weft), stunnel, haproxy, spiped, nebula, wireguard, dnsmasq];
}
