import { expect, test } from 'vitest';
import type { EnforcementStep } from '../words/netmap.ts';
import { ENFORCEMENT } from './enforce.ts';

/** Does not compile while a step is left out. */
const ALL: Readonly<Record<EnforcementStep, true>> = {
  flows: true,
  tunnels: true,
  targets: true,
  listeners: true,
  mismatches: true,
  kept: true,
  measured: true,
};

test('every step has its one place', () => {
  const byName = (one: string, other: string): number => (one < other ? -1 : 1);
  expect([...ENFORCEMENT].sort(byName)).toEqual(Object.keys(ALL).sort(byName));
});

test('what lost its permission is cut first, and what opens comes after what judges it', () => {
  const at = (step: EnforcementStep): number => ENFORCEMENT.indexOf(step);
  expect(at('flows')).toBe(0);
  expect(at('tunnels')).toBeLessThan(at('listeners'));
  expect(at('targets')).toBeLessThan(at('listeners'));
  expect(at('kept')).toBeGreaterThan(at('listeners'));
});
