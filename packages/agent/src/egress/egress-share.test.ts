import { expect, it } from 'vitest';
import { EgressShare } from './egress-share.ts';

it('all sandboxes together have a quarter of the files, two a flow', () => {
  const share = new EgressShare({ usable: 80 });
  expect(share.most).toBe(10);
  const [one, other] = [{ open: 6 }, { open: 3 }];
  share.enter(one);
  share.enter(other);
  expect(share.full()).toBeUndefined();
  other.open = 4;
  expect(share.full()).toContain('already have the 10 flows');
  share.leave(other);
  expect(share.full()).toBeUndefined();
});

it('where the limit is not known there is none', () => {
  const share = new EgressShare({ usable: Number.POSITIVE_INFINITY });
  share.enter({ open: 100_000 });
  expect(share.full()).toBeUndefined();
});
