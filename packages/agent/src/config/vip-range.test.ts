import { describe, expect, it } from 'vitest';
import { readVipRange } from './vip-range.ts';

type Interfaces = NonNullable<Parameters<typeof readVipRange>[1]>;

const of = (address: string, netmask: string, internal = false): Interfaces[string] => [
  { address, netmask, family: 'IPv4', mac: '', internal, cidr: null },
  { address: 'fe80::1', netmask: 'ffff::', family: 'IPv6', mac: '', internal, cidr: null, scopeid: 2 },
];
const interfaces: Interfaces = {
  lo: of('100.80.0.1', '255.240.0.0', true),
  eth0: of('10.9.3.7', '255.255.255.0'),
  docker0: of('172.17.0.1', '255.255.0.0'),
  tailscale0: of('100.101.102.103', '255.255.255.255'),
};

describe('--vip-range', () => {
  it.each([
    ['127.96.0.0/12', 0x7f600000, 1 << 20],
    ['100.80.0.0/12', 0x64500000, 1 << 20],
    ['10.64.0.0/10', 0x0a400000, 1 << 22],
    ['192.168.250.4/30', 0xc0a8fa04, 4],
    ['198.18.0.0/15', 0xc6120000, 1 << 17],
  ])('takes %s', (text, base, size) => {
    expect(readVipRange(text, interfaces)).toEqual({ base, size });
  });

  it.each([
    ['', 'takes a range such as'],
    ['100.80.0.0', 'takes a range such as'],
    ['100.80.0.0/33', 'takes a range such as'],
    ['100.80.0.1/12', 'without bits beyond its prefix; found "100.80.0.1/12"'],
    ['fd00::/8', 'takes a range such as'],
    ['0.0.0.0/0', 'larger than a /8'],
    ['100.80.0.0/31', 'too small'],
    ['100.80.0.1/32', 'too small'],
    ['127.0.0.0/8', 'must not hold 127.0.0.1'],
    ['127.0.0.0/16', 'must not hold 127.0.0.1'],
    ['127.0.0.0/30', 'must not hold 127.0.0.1'],
    ['0.0.0.0/8', "not this host's alone"],
    ['8.8.8.0/24', "not this host's alone"],
    ['100.0.0.0/8', "not this host's alone"],
    ['172.16.0.0/11', 'takes a range such as'],
    ['172.0.0.0/8', "not this host's alone"],
    ['192.0.2.0/24', "not this host's alone"],
    ['240.0.0.0/8', "not this host's alone"],
    ['255.255.255.0/24', "not this host's alone"],
    ['169.254.0.0/16', 'link-local'],
    ['169.254.169.0/24', 'link-local'],
    ['224.0.0.0/8', 'multicast'],
    ['239.1.0.0/16', 'multicast'],
    ['10.0.0.0/8', 'overlaps the network 10.9.3.0/24 of eth0'],
    ['10.9.3.128/25', 'overlaps the network 10.9.3.0/24 of eth0'],
    ['172.17.4.0/24', 'overlaps the network 172.17.0.0/16 of docker0'],
    ['100.64.0.0/10', 'overlaps the network 100.101.102.103/32 of tailscale0'],
  ])('refuses %j: %s', (text, words) => {
    expect(readVipRange(text, interfaces)).toContain(words);
  });
});
