/** Whether a program answers, tried now: for who asks why a service is not served. */
import { connect } from 'node:net';
import { systemWords } from '../bytes/system-words.ts';
import type { TargetAddress } from './addresses.ts';

const TIMEOUT_MS = 2_000;

/** Why it does not, in words; undefined when a connection came about. */
export function tryTarget({ host, port }: TargetAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (why: string | undefined) => {
      // An orderly end would leave the program a connection to say goodbye on; it asked for none.
      if (why === undefined) socket.resetAndDestroy();
      else socket.destroy();
      resolve(why);
    };
    socket.setTimeout(TIMEOUT_MS, () => settle(`no answer within ${TIMEOUT_MS / 1_000} s`));
    socket.on('connect', () => settle(undefined));
    socket.on('error', (cause) => settle(systemWords(cause)));
  });
}
