/** TCP out of a sandbox, to where no mesh is: one connection of the program's, one of this host's, one flow. */
import type { HostPort } from '@weft/proto';
import { Deadline } from '../bytes/deadline.ts';
import { connectSocket } from '../bytes/socket.ts';
import { splice } from '../bytes/splice.ts';
import { endingOf } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import { FlowCutError } from '../tunnel/errors.ts';
import type { Conduit } from '../words/conduit.ts';
import type { OutsideCalls } from './outside-calls.ts';

/** Hosts of the internet answer later than a mesh's. */
const CONNECT_MS = 20_000;

/** identify → decide → track → forward → record. `full`: why there is no room, if so. `over` is called once when all is done. */
export async function carryOut(
  client: Conduit,
  called: HostPort,
  calls: OutsideCalls,
  full: string | undefined,
  over: () => void,
): Promise<void> {
  const flow = calls.open('tcp', called, full);
  if (flow === undefined) {
    client.reset();
    over();
    return;
  }
  const deadline = new Deadline(CONNECT_MS);
  flow.onCut((reason) => deadline.end(new FlowCutError(reason)));
  try {
    const { conduit } = await connectSocket({
      host: called.host,
      port: called.port,
      deadline,
      files: calls.files,
      keepsUrgent: true,
    });
    flow.opened();
    const far = new FlowConduit(conduit, flow, { remote: false, cut: () => client.reset() });
    splice(client, far, (result) => {
      flow.end(...endingOf(result, 'the far end'));
      over();
    });
  } catch (cause) {
    calls.failed(flow, cause);
    client.reset();
    over();
  } finally {
    deadline.close();
  }
}
