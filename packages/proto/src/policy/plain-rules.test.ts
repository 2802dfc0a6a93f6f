import { expect, test } from 'vitest';
import type { Rule } from '../model/mesh.ts';
import { plainRules } from './plain-rules.ts';

const rule: Rule = { name: 'r', action: 'deny', from: ['web'], to: ['redis'], ports: [] };
const port = (number: number, protocol: 'any' | 'udp' = 'any') => ({ protocol, first: number, last: number });

test('a rule whose `to` names ports is one rule for each of them, under its name', () => {
  const ported = { ...rule, to: ['a:80', 'kind:web', 'b:80', 'c:53/udp', 'tag:80'] };
  const other = { ...rule, name: 's', ports: [port(1)] };
  const plain = plainRules([ported, other]);
  expect(plain).toEqual([
    { ...rule, to: ['a', 'b'], ports: [port(80)] },
    { ...rule, to: ['kind:web', 'tag:80'] },
    { ...rule, to: ['c'], ports: [port(53, 'udp')] },
    other,
  ]);
});

test('the same rules are the same list each time, and those without such ports stay as they are', () => {
  const [plain, ported] = [[rule], [{ ...rule, to: ['a:80'] }]];
  expect(plainRules(plain)).toBe(plain);
  expect(plainRules(ported)).toBe(plainRules(ported));
});
