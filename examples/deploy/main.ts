/**
 * Deploys a service through control's API, as a platform would: declares it, makes a token for the host that runs it, waits
 * until it is healthy, drains it, and takes it away again. `WEFT_CONTROL` and `WEFT_ADMIN_TOKEN_FILE` say which control.
 *
 *   node examples/deploy/main.ts NETWORK HOST
 */
import { readFile } from 'node:fs/promises';
import {
  Code,
  ConnectError,
  connectAdmin,
  Kind,
  OpenFlowsState,
  Protocol,
  pages,
  watchNetwork,
} from '@weft/proto/client';
import { runService } from './service.ts';

const { WEFT_CONTROL: address = '127.0.0.1:7400', WEFT_ADMIN_TOKEN_FILE: tokenFile = 'admin.token' } = process.env;
const [network = 'preview', host = 'host-1'] = process.argv.slice(2);
const service = 'hello';

using admin = await connectAdmin({ address, token: await readFile(tokenFile, 'utf8') });

// A network of this name is made where there is none. The token lets in one host, which may run nothing but this service.
const { token } = await admin.createToken({ network, services: [service], host, newNetwork: true });

// Put: declared alone, whatever else the network has. It is answered once all agents know of it, and names those that do not.
const { result } = await admin.putService({
  network,
  service: { name: service, kind: Kind.PRIVATE, ports: [{ protocol: Protocol.TCP, first: 8080, last: 8080 }] },
  terms: { wait: true },
});
console.log(`${service} is declared at revision ${result?.revision}`);

// Here the host is this one; a platform hands the token to a machine that it makes.
const running = await runService({ service, token, port: 8080 });

/** Returns once the service has so many healthy instances. */
async function untilHealthy(count: number): Promise<void> {
  for await (const { services } of watchNetwork(admin, network, AbortSignal.timeout(60_000))) {
    const instances = services.get(service)?.instances ?? [];
    if (instances.filter(({ healthy }) => healthy).length === count) return;
  }
}

await untilHealthy(1);
console.log(`${service} is healthy: any service of ${network} can call ${service}:8080`);

// Drain: a program that takes no new connection is not healthy any more. Agents call another instance, and what is open goes on.
running.stopListening();
await untilHealthy(0);
for (;;) {
  // A host that does not answer may have some.
  let open = 0;
  const listing = pages((pageToken) => admin.listOpenFlows({ network, filter: { service }, pageToken }));
  for await (const { hosts } of listing)
    for (const { state, flows, omitted } of hosts)
      open += state === OpenFlowsState.NO_ANSWER ? 1 : flows.length + omitted;
  if (open === 0) break;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
}
console.log(`${service} is drained`);

// Delete: what would still be open is cut. The host stays a member of the network until it is revoked.
await admin.deleteService({ network, name: service, terms: { wait: true } });
await admin.revokeAgent({ network, agent: host, withToken: true });
await running.stop();

try {
  await admin.deleteService({ network, name: service });
} catch (error) {
  if (!(error instanceof ConnectError) || error.code !== Code.NotFound) throw error;
  console.log(`${service} is gone`);
}
