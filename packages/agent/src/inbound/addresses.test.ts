import { formatHostPort } from '@weft/proto';
import { expect, test } from 'vitest';
import { parseAgentFile } from '../config/agent-file.ts';
import { targetsOf } from './addresses.ts';

const FILE = `services:
  mixed: { targets: { 53: "127.0.0.1:1053", 53/udp: "127.0.0.1:2053", 80: "[::1]:8080", 81: "localhost:8081" } }
`;

test.each([
  ['a port alone is meant for TCP', 53, 'tcp', ['127.0.0.1:1053']],
  ['and its transport, named, goes before it', 53, 'udp', ['127.0.0.1:2053']],
  ['a port alone is meant for UDP just as well', 80, 'udp', ['[::1]:8080']],
  ['localhost is both of its addresses', 81, 'tcp', ['127.0.0.1:8081', '[::1]:8081']],
  ['what is not named is served at the same port', 9, 'tcp', ['127.0.0.1:9', '[::1]:9']],
] as const)('%s', (_, port, protocol, expected) => {
  const mixed = parseAgentFile('weft.yaml', FILE).services.get('mixed');
  if (mixed === undefined) throw new Error('no such service');
  expect(targetsOf(mixed, port, protocol).map(({ host, port: at }) => formatHostPort(host, at))).toEqual(expected);
});
