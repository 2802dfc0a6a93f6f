import { describe, expect, test } from 'vitest';
import { AGENT_ROLE_WORDS } from '../model/agent-role.ts';
import { rolesFromWire, rolesToWire } from './enums.ts';
import { WireError } from './errors.ts';

describe('roles', () => {
  test('pass both ways, each once, in the order of the table', () => {
    expect(rolesFromWire(rolesToWire(AGENT_ROLE_WORDS), 'roles')).toEqual(AGENT_ROLE_WORDS);
    expect(rolesFromWire([], 'roles')).toEqual([]);
    expect(rolesFromWire(undefined, 'roles')).toEqual([]);
  });

  test.each([
    ['that is not known', [99]],
    ['that is not set', [0]],
    ['more than there are', [1, 1, 1]],
  ])('%s are refused: what permits is strict', (_what, numbers) => {
    expect(() => rolesFromWire(numbers, 'self.roles')).toThrow(WireError);
  });
});
