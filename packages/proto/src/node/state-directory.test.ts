import { expect, test } from 'vitest';
import { homeOf, stateDirectory } from './state-directory.ts';

test.each([
  ['root', { env: { XDG_STATE_HOME: '/s' }, uid: 0, home: '/root' }, '/var/lib/weft-control'],
  ['a user', { env: {}, uid: 1, home: '/home/a' }, '/home/a/.local/state/weft-control'],
  ['a user with a place for state', { env: { XDG_STATE_HOME: '/s' }, uid: 1, home: '/home/a' }, '/s/weft-control'],
  ['a user who has no home', { env: {}, uid: 1, home: undefined }, '/var/lib/weft-control'],
  [
    'a user whose place for state is relative',
    { env: { XDG_STATE_HOME: 's' }, uid: 1, home: '/home/a' },
    '/home/a/.local/state/weft-control',
  ],
])('the directory of %s', (_, sources, directory) => {
  expect(stateDirectory('weft-control', sources)).toBe(directory);
});

test('the home is what HOME says, where that is one', () => {
  expect(homeOf({ HOME: '/home/a' })).toBe('/home/a');
  expect(homeOf({ HOME: '' })).toMatch(/^\//);
  expect(homeOf({})).toMatch(/^\//);
  const unknown = (): never => {
    throw new Error('uv_os_get_passwd returned ENOENT (no such file or directory)');
  };
  expect(homeOf({}, unknown)).toBeUndefined();
});
