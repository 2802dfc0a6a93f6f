import { addressKind, formatAddress, parseAddress, parseRange } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { classOf, rangesAround, SPECIAL_RANGES } from './address-classes.ts';

const vips = parseRange('100.80.0.0/12') ?? { base: 0, size: 0 };
const interfaces = {
  lo: [{ address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', internal: true }],
  eth0: [
    { address: '193.0.6.139', netmask: '255.255.255.0', family: 'IPv4', internal: false },
    { address: '2001:67c::1', netmask: 'ffff:ffff::', family: 'IPv6', internal: false },
  ],
  ppp0: [{ address: '8.9.10.11', netmask: '255.255.255.255', family: 'IPv4', internal: false }],
};
const around = rangesAround({ vips, interfaces });
const reach = (address: string) => classOf(parseAddress(address) ?? -1, around).reach;

describe('an address', () => {
  it.each([
    [
      'internet',
      ['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '172.15.255.255'],
    ],
    [
      'internet',
      ['172.32.0.0', '192.167.255.255', '192.169.0.0', '168.63.129.15', '192.0.1.0', '8.9.10.12', '223.255.255.255'],
    ],
    [
      'near',
      ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.1', '100.64.0.0', '100.127.255.255'],
    ],
    ['near', ['192.0.2.9', '198.51.100.7', '203.0.113.1', '198.18.0.1', '198.19.255.255', '192.88.99.1']],
    ['near', ['193.0.6.1', '193.0.6.255']],
    ['never', ['0.0.0.0', '0.255.255.255', '127.0.0.1', '127.255.255.255', '169.254.169.254', '100.100.100.200']],
    [
      'never',
      ['168.63.129.16', '192.0.0.1', '192.0.0.192', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
    ],
    ['never', ['193.0.6.139', '8.9.10.11', '100.80.0.1', '100.95.255.255', '127.80.0.1']],
  ])('that leads to %s', (expected, addresses) => {
    for (const address of addresses) expect([address, reach(address)]).toEqual([address, expected]);
  });

  it('that no endpoint of a host may have is never reached, and the other way round, at each border of the table', () => {
    for (const { range } of SPECIAL_RANGES) {
      for (const address of [range.base - 1, range.base, range.base + range.size - 1, range.base + range.size]) {
        if (address < 0 || address >= 2 ** 32) continue;
        const known = addressKind(formatAddress(address)) !== 'outside';
        const { reach: told } = classOf(address, SPECIAL_RANGES);
        expect([formatAddress(address), told === 'never']).toEqual([formatAddress(address), known]);
      }
    }
  });

  it('is judged by the table alone where the interfaces could not be looked at', () => {
    const blind = rangesAround({ vips, interfaces: undefined });
    expect(classOf(parseAddress('10.1.2.3') ?? 0, blind).what).toBe('a private network (RFC 1918)');
    expect(classOf(parseAddress('100.80.0.1') ?? 0, blind).reach).toBe('never');
  });
});
