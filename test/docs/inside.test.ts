import { expect, test } from 'vitest';
import { sources } from './sources.ts';

/** What Node shows to nobody, and V8 only to those who ask behind its back. */
const UNDER_NODE =
  /\b(_handle|_server|getOwnPropertySymbols|runInNewContext|\w+Wrap|streamBaseState|useUserBuffer)\b|process\.binding/;

test('of the agent bytes/inside alone reaches under the public API of Node', () => {
  const reaching = sources().filter((source) => source.package === 'agent' && UNDER_NODE.test(source.text));
  expect(reaching.length).toBeGreaterThan(0);
  expect(reaching.filter(({ path }) => !path.startsWith('packages/agent/src/bytes/inside/'))).toEqual([]);
});
