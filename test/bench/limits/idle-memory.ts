/** What an agent that does nothing keeps, when it knows a large network. */
import { type Limit, notLinux } from './limit.ts';
import { MIB, settledBytes } from './memory.ts';
import { LimitMesh } from './mesh.ts';

const SERVICES = 1_000;
const TARGET_MIB = 60;
/** An agent gives back what its start took once it has been quiet for some seconds, which on a slow machine it is not at once. */
const REST_MS = 60_000;

export const idleMemory: Limit = {
  name: 'idle-memory',
  what: `resident memory of an idle agent that knows ${SERVICES.toLocaleString('en')} services and listens on the VIP of each`,
  target: `at most ${TARGET_MIB} MiB`,
  missing: notLinux,
  async measure(quick, signal) {
    const names = Array.from({ length: SERVICES }, (_, index) => `service-${index}`);
    await using mesh = await LimitMesh.start(
      names.map((name) => `  ${name}: { kind: private, ports: [7000] }\n`).join(''),
      signal,
    );
    const { port } = await mesh.server('echo');
    const agents = [await mesh.agent('none', {}), await mesh.agent('one', { 'service-0': { 7000: port } })];
    // Control has heard of the instance and the caller has its name: all that a start brings has been done.
    const [caller] = agents;
    if (caller === undefined) throw new Error('no agent');
    await mesh.place(caller, 'service-0', 7000);
    const settled = await Promise.all(agents.map(({ pid }) => settledBytes(pid, quick ? 5_000 : REST_MS, signal)));
    const [none = 0, one = 0] = settled.map((bytes) => bytes / MIB);
    const value = Math.max(none, one);
    const detail = `${none.toFixed(1)} MiB where no service runs, ${one.toFixed(1)} MiB where one does; all listen on ${SERVICES} VIPs`;
    return { value, unit: 'MiB', reached: value <= TARGET_MIB, detail };
  },
};
