import type { Peer } from '../types.ts';
import { direct } from './direct.ts';
import { dnsmasq } from './dnsmasq.ts';
import { haproxy } from './haproxy.ts';
import { nebula } from './nebula.ts';
import { spiped } from './spiped.ts';
import { stunnel } from './stunnel.ts';
import { createWeft, type WeftOptions } from './weft.ts';
import { wireguard } from './wireguard.ts';

export function allPeers(weft: WeftOptions): readonly Peer[] {
  return [
    direct,
    createWeft(weft, 'weft'),
    createWeft(weft, 'weft-observed'),
    createWeft(weft, 'weft-by-user'),
    createWeft(weft, 'weft-by-program'),
    createWeft(weft, 'before'),
    stunnel,
    haproxy,
    spiped,
    nebula,
    wireguard,
    dnsmasq,
  ];
}
