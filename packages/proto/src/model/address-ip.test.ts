import net from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isIP, isIPv4, isIPv6 } from './address.ts';

test.each([
  ...['0.0.0.0', '127.0.0.1', '255.255.255.255', '256.0.0.1', '1.2.3', '01.2.3.4', '1.2.3.4.', ' 1.2.3.4', '1.2.3.4\n'],
  ...[
    '::',
    '::1',
    '1::',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1::8',
    '::ffff:1.2.3.4',
    '64:ff9b::1.2.3.4',
  ],
  ...[
    '1:2:3:4:5:6:1.2.3.4',
    'fe80::1%eth0',
    'fe80::1%',
    'fe80::1%a b',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
  ],
  ...[
    'g::',
    '1:2:3:4:5:6:7',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '',
    '[::1]',
    '::FFFF:127.0.0.1',
  ],
])('%j is what node:net says', (text) => {
  expect([isIP(text), isIPv4(text), isIPv6(text)]).toEqual([net.isIP(text), net.isIPv4(text), net.isIPv6(text)]);
});

test('any text of the right letters is what node:net says', () => {
  const part = fc.constantFrom('0', '1', 'f', 'ffff', '12', ':', '::', '.', '255', '256', '%', '1.2.3.4', 'g');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 16 }), (parts) => {
      const text = parts.join('');
      expect([text, isIP(text)]).toEqual([text, net.isIP(text)]);
    }),
    { numRuns: 5_000 },
  );
});
