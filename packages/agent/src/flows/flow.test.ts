import { expect, it } from 'vitest';
import { TunnelEndedError } from '../tunnel/errors.ts';
import { endingOf } from './flow.ts';

it.each([
  ['closed', undefined, undefined, 'closed', ''],
  ['reset', 'a', undefined, 'reset', 'reset by the caller'],
  ['reset', 'b', new Error('ECONNRESET'), 'reset', 'reset by the service: ECONNRESET'],
  // The same at both ends, whichever side of its splice the tunnel is: nobody is blamed for it.
  ['reset', 'a', new TunnelEndedError('dead', 'the peer is silent'), 'reset', 'the peer is silent'],
  ['reset', 'b', new TunnelEndedError('dead', 'the peer is silent'), 'reset', 'the peer is silent'],
] as const)('a flow that is %s at side %s by %o is told of as %s: %s', (how, failedSide, cause, outcome, detail) => {
  expect(endingOf({ how, failedSide, cause })).toEqual([outcome, detail]);
});
