import { expect, it } from 'vitest';
import { TunnelEndedError } from '../tunnel/errors.ts';
import { conversationMs, endingOf, flowIdleMs } from './flow.ts';

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

it.each([
  [8_125, undefined, 60_000, 120_000],
  [53, undefined, 15_000, 15_000],
  [8_125, 400, 400, 800],
  [53, 400, 400, 400],
])(
  'a UDP flow to port %i, where %o is said, may be silent for %i ms, and a conversation for %i',
  (port, said, flow, conversation) => {
    expect([flowIdleMs(port, said), conversationMs(port, said)]).toEqual([flow, conversation]);
  },
);
