import { CONTROL_RANGE, parseRange } from '@weft/proto';
import { expect, it } from 'vitest';
import { dialBounds } from './dial-bounds.ts';

const shifted = parseRange('127.144.0.0/16') ?? CONTROL_RANGE;

it.each([
  [
    '203.0.113.7:7400',
    ['10.0.0.1', '2001:db8::1'],
    ['127.0.0.1', '::1', '127.80.0.2', '127.144.0.2', '169.254.169.254'],
  ],
  ['127.0.0.1:7400', ['10.0.0.1', '127.0.0.1', '::1'], ['127.80.0.2', '127.144.0.2', '::ffff:7f90:2', '169.254.1.1']],
  ['localhost:7400', ['127.9.9.9', '::ffff:7f00:1'], ['0.0.0.0', '::', '::127.0.0.1', '224.0.0.1', 'a.example', '']],
  ['169.254.3.4:7400', ['169.254.3.5'], ['127.0.0.1']],
])('with control at %s', (control, permitted, refused) => {
  const { permits } = dialBounds(shifted, [control]);
  expect(permitted.filter((address) => !permits(address))).toEqual([]);
  expect(refused.filter(permits)).toEqual([]);
});

it('never dials into a range outside loopback, however it is spelled', () => {
  const { permits } = dialBounds(parseRange('100.80.0.0/12') ?? CONTROL_RANGE, ['127.0.0.1:7400']);
  const within = ['100.80.0.2', '100.95.255.255', '::ffff:100.80.0.2', '0x64500002', '100.5242882'];
  expect(within.filter(permits)).toEqual([]);
  expect(['100.79.255.255', '100.96.0.0'].filter(permits)).toHaveLength(2);
});

it('judges what a name resolves to, not the name', async () => {
  const resolve = (controls: string[], all: boolean) =>
    new Promise((done) => {
      dialBounds(CONTROL_RANGE, controls).lookup('localhost', { all }, (error, address) =>
        done(error?.message ?? address),
      );
    });
  expect(await resolve(['203.0.113.7:1'], true)).toContain('no address that a peer may have');
  expect(await resolve(['203.0.113.7:1'], false)).toContain('no address that a peer may have');
  expect(await resolve(['127.0.0.1:1'], true)).toContainEqual({ address: '127.0.0.1', family: 4 });
});
