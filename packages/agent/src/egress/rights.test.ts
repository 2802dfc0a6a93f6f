import { type Protocol, parseAddress, parseRange } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { rangesAround } from './address-classes.ts';
import {
  type EgressRights,
  formatOpened,
  mayReach,
  type OpenedRange,
  readOpened,
  readRights,
  writeRights,
} from './rights.ts';

const around = rangesAround({ vips: parseRange('127.80.0.0/12') ?? { base: 0, size: 0 }, interfaces: undefined });

function opened(text: string): OpenedRange {
  const read = readOpened(text);
  if (typeof read === 'string') throw new Error(read);
  return read;
}

describe('--egress-to', () => {
  it.each(['10.0.0.0/8', '198.51.100.7', '192.168.1.0/24:443/tcp', '198.51.100.7:53', '10.0.0.0/8:8000-8099/udp'])(
    'reads %s, and writes it again',
    (text) => expect(formatOpened(opened(text))).toBe(text),
  );

  it.each([
    ['', 'takes CIDR[:PORTS]'],
    ['10.0.0.1/8', 'without bits beyond its prefix'],
    ['10.0.0.0/8:0', 'expected ports from 1 to 65535'],
    ['10.0.0.0/8:90-80', 'ends before it starts'],
    ['10.0.0.0/8:', 'is not a port'],
    ['10.0.0.0/8:80:90', 'found "10.0.0.0/8:80:90"'],
    ['fd00::/8', 'only IPv4 goes out of a sandbox'],
    ['localhost', 'takes CIDR[:PORTS]'],
    ['127.0.0.1:6379', 'cannot open 127.0.0.1, which is loopback'],
    ['169.254.169.254/32', "clouds' metadata"],
    ['224.0.0.0/8', 'which is multicast'],
    ['168.63.129.16', "which is a cloud's metadata"],
  ])('refuses %j, since %s', (text, why) => expect(readOpened(text)).toContain(why));
});

describe('rights', () => {
  it.each(['internet', '10.0.0.0/8:443/tcp', 'internet,10.0.0.0/8:443/tcp,198.51.100.7'])(
    '%s come back as they were written',
    (text) => expect(writeRights(readRights(text) ?? { internet: false, opened: [] })).toBe(text),
  );

  it.each(['', 'intranet', '127.0.0.1', '10.0.0.0/8,', Array(65).fill('10.0.0.0/8').join(',')])(
    'are none of %j',
    (text) => expect(readRights(text)).toBeUndefined(),
  );
});

describe('a call out of the mesh', () => {
  const internet: EgressRights = { internet: true, opened: [] };
  const mirror: EgressRights = { internet: false, opened: [opened('192.168.1.0/24:443/tcp')] };
  const all: EgressRights = { internet: true, opened: [opened('0.0.0.0/0')] };
  const verdict = (rights: EgressRights, address: string, port = 443, protocol: Protocol = 'tcp') =>
    mayReach(rights, { address: parseAddress(address) ?? -1, port, protocol }, around);

  it.each([
    [internet, '1.1.1.1', 443, 'tcp', true],
    [internet, '1.1.1.1', 53, 'udp', true],
    [internet, '192.168.1.5', 443, 'tcp', false],
    [internet, '169.254.169.254', 80, 'tcp', false],
    [mirror, '192.168.1.5', 443, 'tcp', true],
    [mirror, '192.168.1.5', 443, 'udp', false],
    [mirror, '192.168.1.5', 444, 'tcp', false],
    [mirror, '192.168.2.5', 443, 'tcp', false],
    [mirror, '1.1.1.1', 443, 'tcp', false],
    [all, '10.1.2.3', 22, 'tcp', true],
    [all, '127.0.0.1', 22, 'tcp', false],
    [all, '127.80.0.1', 6379, 'tcp', false],
    [all, '169.254.169.254', 80, 'tcp', false],
    [all, '255.255.255.255', 67, 'udp', false],
  ] as const)('by %o to %s:%d/%s: %s', (rights, address, port, protocol, allowed) =>
    expect(verdict(rights, address, port, protocol).allowed).toBe(allowed),
  );

  it('that is refused is told by what would open it', () => {
    expect(verdict(internet, '192.168.1.5').reason).toBe(
      '192.168.1.5 is a private network (RFC 1918); --egress-to 192.168.1.5:443/tcp opens it',
    );
    expect(verdict(mirror, '1.1.1.1').reason).toContain('--egress, or --egress-to 1.1.1.1:443/tcp opens it');
    expect(verdict(all, '127.0.0.1').reason).toContain('which no sandbox reaches');
  });
});
