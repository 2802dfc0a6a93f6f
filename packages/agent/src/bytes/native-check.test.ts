import { afterEach, describe, expect, test } from 'vitest';
import { manyDatagrams, nativeCalls, setNative } from './inside/known.ts';
import { FakeKernel } from './inside/native-calls.fixture.ts';
import { checkNative, nativeCause } from './native-check.ts';

afterEach(() => setNative('not looked for'));

describe('calls for many datagrams are left alone', () => {
  test.each([
    ['fail', -14, 'a socket failed: recvmsg EFAULT'],
    ['bring nothing', 0, 'no answer within 300 ms'],
    ['find nothing where there is much', -11, 'no answer within 300 ms'],
  ])('where they %s', async (_what, answer, fault) => {
    setNative(
      new FakeKernel(
        () => answer,
        () => answer,
      ),
    );
    expect(await checkNative(300)).toBe(fault);
    expect(nativeCause()).toBe(`many datagrams at once do not come through: ${fault}`);
    // What they do for others is another matter.
    expect([manyDatagrams() === undefined, nativeCalls() === undefined]).toEqual([true, false]);
  });
});
