import { PinMismatchError } from '@weft/proto/wire';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import type { LinkOptions } from '../link/link.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { type ControlParts, followControl } from './control.ts';

const links = vi.hoisted((): LinkOptions[] => []);
vi.mock('../link/link.ts', () => ({
  runLink: (link: LinkOptions) => {
    links.push(link);
    return new Promise(() => {});
  },
}));

test('what control said last stands no longer than control answers, and another in its place is named', async () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const membership = { network: 'prod', host: 'build-3', controlAddresses: ['10.0.0.1:7400'], ephemeral: false };
  const parts = {
    request: {},
    member: { membership },
    store: { current: { self: {} }, controlAddresses: [] },
    keeper: { changed: () => {} },
    problems,
    logger: pino({ level: 'silent' }),
    control: { cause: '', address: '', revoked: false },
  };
  followControl(parts as unknown as ControlParts, new AbortController().signal);
  const [link] = links;
  const codes = () => problems.current.map(({ code }) => code);
  const held = { type: 'held', reason: 'its data is older', retryMs: 0, unknown: false } as const;
  await link?.held(held);
  expect(codes()).toEqual(['held-off']);
  link?.disconnected(new Error('refused'), 'refused');
  expect(codes()).toEqual([]);
  await link?.held(held);
  link?.disconnected(new PinMismatchError('10.0.0.1:7400'), 'another key');
  expect(problems.current).toEqual([
    {
      code: 'control-changed',
      subject: 'build-3',
      message: expect.stringContaining('10.0.0.1:7400 shows a certificate other than'),
    },
  ]);
  // At another of its addresses there may be nothing.
  link?.disconnected(new Error('refused'), 'refused');
  expect(codes()).toEqual(['control-changed']);
  await link?.held(held);
  expect(codes()).toEqual(['held-off']);
  link?.connected('10.0.0.1:7400');
  expect(codes()).toEqual([]);
});
