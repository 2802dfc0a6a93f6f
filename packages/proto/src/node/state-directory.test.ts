import { expect, test } from 'vitest';
import { stateDirectory } from './state-directory.ts';

test.each([
  ['root', { env: { XDG_STATE_HOME: '/s' }, uid: 0, home: '/root' }, '/var/lib/weft-control'],
  ['a user', { env: {}, uid: 1, home: '/home/a' }, '/home/a/.local/state/weft-control'],
  ['a user with a place for state', { env: { XDG_STATE_HOME: '/s' }, uid: 1, home: '/home/a' }, '/s/weft-control'],
  [
    'a user whose place for state is relative',
    { env: { XDG_STATE_HOME: 's' }, uid: 1, home: '/home/a' },
    '/home/a/.local/state/weft-control',
  ],
])('the directory of %s', (_, sources, directory) => {
  expect(stateDirectory('weft-control', sources)).toBe(directory);
});
