/** UDP out of a sandbox: for each pair of the program's socket and a place out there one socket on either side, and one flow. */
import type { HostPort } from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import { adoptDatagrams } from '../bytes/inside/adopt-datagrams.ts';
import { conversationMs } from '../flows/flow.ts';
import { connectDatagrams, connectedDatagrams, joinDatagrams } from '../inbound/target-datagrams.ts';
import type { HeldPairs } from './held-pairs.ts';
import type { OutsideCalls } from './outside-calls.ts';

/** A bind and a connect wait for nobody. */
const OPEN_MS = 2_000;

/**
 * `handle`: a socket in the sandbox, at the place that is called and connected to who calls, with the first datagrams waiting in it.
 * `full`: why there is no room, if so. `refused`: it may not, and the handle is left to whoever is told.
 */
export async function carryDatagramsOut(
  handle: object,
  called: HostPort,
  calls: OutsideCalls,
  held: HeldPairs,
  full: string | undefined,
  refused: () => void,
): Promise<void> {
  const flow = calls.open('udp', called, full);
  if (flow === undefined) {
    refused();
    return;
  }
  const deadline = new Deadline(OPEN_MS);
  try {
    const far = await connectDatagrams({ host: called.host, port: called.port }, undefined, deadline, calls.files, () =>
      flow.end('not-listening', 'connection refused'),
    );
    // Only now: from here on it reads what waits.
    const near = adoptDatagrams(handle);
    const at = near?.address();
    if (near === undefined) calls.unfit();
    if (near === undefined || !flow.live || at?.address !== called.host || at.port !== called.port) {
      flow.end('unreachable', 'an error inside the agent');
      far.close();
      near?.close();
      return;
    }
    flow.opened();
    joinDatagrams(
      flow,
      connectedDatagrams(near, () => undefined),
      far,
      conversationMs(called.port),
      held,
      'internet',
    );
  } catch (cause) {
    calls.failed(flow, cause);
    adoptDatagrams(handle)?.close();
  } finally {
    deadline.close();
  }
}
