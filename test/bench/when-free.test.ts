import { expect, test } from 'vitest';
import { whenFree } from './when-free.ts';

const BUSY = 'exit 1 before /sec/\n--- stderr\niperf3: error - the server is busy running a test. try again later\n';

test('a server that is busy still with who left a moment ago is asked again, and fails a measure of nothing', async () => {
  let asked = 0;
  const attempt = async (): Promise<number> => {
    asked += 1;
    if (asked < 3) throw new Error(BUSY);
    return asked;
  };
  expect(await whenFree(attempt, 0)).toBe(3);
});

test('what fails otherwise is told at once', async () => {
  let asked = 0;
  const attempt = async (): Promise<never> => {
    asked += 1;
    throw new Error('iperf3: error - unable to connect to server');
  };
  await expect(whenFree(attempt, 0)).rejects.toThrow('unable to connect');
  expect(asked).toBe(1);
});
