/** iperf3's server takes one client at a time. That one has left it hears through what is measured, some hundredths of a second behind it. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '@weft/proto';

const BUSY = /server is busy running a test/;
const PAUSE_MS = 50;
/** A way that keeps a flow open for longer behind its caller's end is at fault, and the measure fails. */
const LONGEST_MS = 2_000;

/** What the attempt answers, tried again while it fails because the server has not yet let go of who came before. */
export async function whenFree<T>(attempt: () => Promise<T>, pauseMs: number = PAUSE_MS): Promise<T> {
  const until = performance.now() + LONGEST_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!BUSY.test(messageOf(error)) || performance.now() >= until) throw error;
    }
    await delay(pauseMs);
  }
}
