import { expect, test } from 'vitest';
import { addressKind, normalHost, plainAddress } from './address.ts';

test.each([
  ['127.0.0.1', '127.0.0.1', 'loopback'],
  ['127.1', '127.0.0.1', 'loopback'],
  ['0x7f.0.0.1', '127.0.0.1', 'loopback'],
  ['0177.0.0.1', '127.0.0.1', 'loopback'],
  ['2130706433', '127.0.0.1', 'loopback'],
  ['127.0.0.1.', '127.0.0.1', 'loopback'],
  ['::1', '::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', '::1', 'loopback'],
  ['::ffff:127.0.0.1', '127.0.0.1', 'loopback'],
  ['::FFFF:7f00:1', '127.0.0.1', 'loopback'],
  ['0:0:0:0:0:ffff:7f00:0001', '127.0.0.1', 'loopback'],
  ['LocalHost', 'localhost', 'loopback'],
  ['a.localhost.', 'a.localhost.', 'loopback'],
  ['127.80.0.2', '127.80.0.2', 'vip'],
  ['127.95.255.255', '127.95.255.255', 'vip'],
  ['127.5242882', '127.80.0.2', 'vip'],
  ['::ffff:127.80.0.2', '127.80.0.2', 'vip'],
  ['::ffff:7f50:2', '127.80.0.2', 'vip'],
  ['::127.80.0.2', '::7f50:2', 'unusable'],
  ['64:ff9b::7f50:2', '64:ff9b::7f50:2', 'unusable'],
  ['2002:7f50:2::', '2002:7f50:2::', 'unusable'],
  ['64:ff9b::cb00:7107', '64:ff9b::cb00:7107', 'outside'],
  ['169.254.169.254', '169.254.169.254', 'link-local'],
  ['::ffff:a9fe:a9fe', '169.254.169.254', 'link-local'],
  ['fe80::1', 'fe80::1', 'link-local'],
  ['0.0.0.0', '0.0.0.0', 'unusable'],
  ['0', '0.0.0.0', 'unusable'],
  ['::', '::', 'unusable'],
  ['255.255.255.255', '255.255.255.255', 'unusable'],
  ['ff02::1', 'ff02::1', 'unusable'],
  ['FD00:EC2:0::254', 'fd00:ec2::254', 'unusable'],
  ['fd00:ec2::23', 'fd00:ec2::23', 'unusable'],
  ['fd00:ec3::254', 'fd00:ec3::254', 'outside'],
  ['fd20:ce::254', 'fd20:ce::254', 'unusable'],
  ['fd20:ce::253', 'fd20:ce::253', 'outside'],
  ['fd00:c1::a9fe:a9fe', 'fd00:c1::a9fe:a9fe', 'unusable'],
  ['fd00:42::42', 'fd00:42::42', 'unusable'],
  ['fd00:100::100:200', 'fd00:100::100:200', 'unusable'],
  ['fd00:a9fe:a9fe::1', 'fd00:a9fe:a9fe::1', 'unusable'],
  ['100.100.100.200', '100.100.100.200', 'unusable'],
  ['::ffff:6464:64c8', '100.100.100.200', 'unusable'],
  ['64:ff9b::6464:64c8', '64:ff9b::6464:64c8', 'unusable'],
  ['100.100.100.201', '100.100.100.201', 'outside'],
  ['168.63.129.16', '168.63.129.16', 'unusable'],
  ['192.0.0.192', '192.0.0.192', 'unusable'],
  ['192.0.0.8', '192.0.0.8', 'unusable'],
  ['192.0.1.8', '192.0.1.8', 'outside'],
  ['10.0.0.1', '10.0.0.1', 'outside'],
  ['2001:DB8:0::7', '2001:db8::7', 'outside'],
  ['Edge-1.Example', 'edge-1.example', 'name'],
])('%s is %s, %s', (host, normal, kind) => {
  expect(normalHost(host)).toBe(normal);
  expect(addressKind(normal)).toBe(kind);
});

test.each(['', '1.2.3.4.5', '256.0.0.1', 'a b', 'a/b', 'a@b', '::1::', 'fe80::1%eth0'])('%s is none', (host) => {
  expect(normalHost(host)).toBeUndefined();
});

test('a socket of both families shows an IPv4 address as such, and no other address as another', () => {
  expect(['::ffff:10.0.0.1', '10.0.0.1', 'fd00::ffff:1', '::ffff:a00:1', ''].map(plainAddress)).toEqual([
    '10.0.0.1',
    '10.0.0.1',
    'fd00::ffff:1',
    '::ffff:a00:1',
    '',
  ]);
});
