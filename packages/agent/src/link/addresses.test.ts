import { CONTROL_RANGE } from '@weft/proto';
import { ControlUnreachableError } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { AddressRound, controlAddresses } from './addresses.ts';

const shifted = { ...CONTROL_RANGE, base: 0x7f_c8_00_00 };

test('what was named, told and joined by is tried in this order, each once', () => {
  const known = { named: 'n:1', told: ['t:1', 'n:1', 't:2'], joined: ['j:1', 't:2'] };
  expect(controlAddresses(known, CONTROL_RANGE)).toEqual(['n:1', 't:1', 't:2', 'j:1']);
  expect(controlAddresses({ named: undefined, told: [], joined: ['j:1'] }, CONTROL_RANGE)).toEqual(['j:1']);
});

test.each([
  '127.80.0.5:7400',
  '[::ffff:127.80.0.5]:7400',
  '127.200.0.1:7400',
  '0.0.0.0:7400',
  '169.254.169.254:80',
  '[::]:1',
  'x',
])('what control tells is never a VIP of this host, nor no host: %s', (told) => {
  expect(controlAddresses({ named: undefined, told: [told, 'ok:1'], joined: ['j:1'] }, shifted)).toEqual([
    'ok:1',
    'j:1',
  ]);
});

test('each is tried once before any is tried again, from the first on, but where control was heard before the others', () => {
  let known = ['a', 'b', 'c'];
  const round = new AddressRound(() => known);
  expect([round.next(), round.over, round.next(), round.next(), round.over, round.next()]).toEqual([
    ...['a', false, 'b', 'c', true, 'a'],
  ]);
  round.next();
  round.served('b');
  expect([round.next(), round.next(), round.next(), round.next()]).toEqual(['b', 'a', 'c', 'b']);
  // It told of another, and went.
  known = ['new', 'a'];
  round.served('b');
  expect([round.next(), round.next(), round.over, round.next()]).toEqual(['new', 'a', true, 'new']);
});

test('each that is still known tells why control was not heard there, since it was heard', () => {
  let known = ['a:1', 'b:1'];
  const round = new AddressRound(() => known);
  const unreachable = (address: string, why: string, refused = false) =>
    new ControlUnreachableError(address, { why, advice: ['look there', 'look here'], refused });
  round.failed('a:1', unreachable('a:1', 'nobody'));
  round.failed('b:1', new Error('connection lost'));
  round.failed('b:1', new AggregateError([new Error('no port')], 'no route'));
  const first = 'control at a:1 cannot be reached: nobody';
  expect(round.why).toBe(`${first}; b:1: no route: no port; look there; look here`);
  // Each advice once, and of a token's loopback nothing beside others where nobody listens.
  known = ['a:1', 'c:1', '127.0.0.1:1', 'localhost:1'];
  round.failed('c:1', unreachable('c:1', 'no way'));
  round.failed('127.0.0.1:1', unreachable('127.0.0.1:1', 'nobody', true));
  expect(round.why).toBe(`${first}; control at c:1 cannot be reached: no way; look there; look here`);
  round.failed('localhost:1', unreachable('localhost:1', 'no TLS'));
  const others = `${first}; control at c:1 cannot be reached: no way`;
  expect(round.why).toBe(`${others}; control at localhost:1 cannot be reached: no TLS; look there; look here`);
  known = ['127.0.0.1:1'];
  expect(round.why).toBe('control at 127.0.0.1:1 cannot be reached: nobody; look there; look here');
  known = ['b:1'];
  expect(round.why).toBe('b:1: no route: no port');
  round.served('b:1');
  expect(round.why).toBe('');
});
