import { afterEach, describe, expect, test } from 'vitest';
import { setNative } from './inside/known.ts';
import { FakeKernel } from './inside/native-calls.fixture.ts';
import { checkNative, nativeCause } from './native-check.ts';

afterEach(() => setNative('not looked for'));

describe('calls for many datagrams are left alone', () => {
  test.each([
    ['fail', -14, 'a socket failed: recvmsg EFAULT'],
    ['bring nothing', 0, 'none were received by one call'],
    ['find nothing where there is much', -11, 'none were received by one call'],
  ])('where they %s', async (_what, answer, fault) => {
    setNative(
      new FakeKernel(
        () => answer,
        () => answer,
      ),
    );
    expect(await checkNative()).toBe(fault);
    expect(nativeCause()).toBe(`many datagrams at once do not come through: ${fault}`);
  });
});
