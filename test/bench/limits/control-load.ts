/** What control takes when 500 agents tell it of 2,000 ended flows a second, and somebody watches the dashboard. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../examples/demo/ports.ts';
import { CrowdNetwork } from '../../harness/crowd-network.ts';
import { planCrowd } from '../../harness/crowd-traffic.ts';
import { viewDashboard } from '../../harness/dashboard-viewer.ts';
import { createLocalLab } from '../../harness/host.ts';
import { Control } from '../../harness/weft.ts';
import { metered } from '../cpu.ts';
import { type Limit, notLinux } from './limit.ts';
import { MIB, PeakWatch } from './memory.ts';

const AGENTS = 500;
const SERVICES = 200;
const RECORDS = 2_000;
const TARGET_CORES = 1;
const TARGET_MIB = 400;

export const controlLoad: Limit = {
  name: 'control-load',
  what: `processor time of control while ${AGENTS} agents tell of ${RECORDS.toLocaleString('en')} ended flows a second and a dashboard is open`,
  target: `at most ${TARGET_CORES} core, and ${TARGET_MIB} MiB`,
  missing: notLinux,
  async measure(quick, signal) {
    const seconds = quick ? 15 : 60;
    await using lab = createLocalLab();
    const dashboard = await freePort();
    const control = await Control.start(await lab.host('control'), { control: await freePort(), dashboard });
    const { pid } = control.process;
    using network = await CrowdNetwork.start(control, planCrowd(SERVICES, AGENTS));
    using viewer = await viewDashboard(`http://127.0.0.1:${dashboard}`, join(control.dataDir, 'read.token'));
    network.talk(RECORDS);
    // The joins are over, and code that runs for the first time has run.
    await sleep(10_000, undefined, { signal });
    const before = { told: network.told, ms: Date.now() };
    using memory = new PeakWatch([pid], 250);
    const [, cpu] = await metered({ processes: [{ pid }] }, () => sleep(seconds * 1_000, undefined, { signal }));
    const took = (Date.now() - before.ms) / 1_000;
    const rate = (network.told - before.told) / took;
    const mebibytes = (memory.peaks[0] ?? Number.NaN) / MIB;
    const value = (cpu?.own ?? Number.NaN) / took;
    const stored = JSON.parse(await control.ok('status', '--json')) as {
      readonly control: { readonly networks: readonly { readonly flows_dropped: number }[] };
    };
    const lost = stored.control.networks[0]?.flows_dropped ?? 0;
    const detail = `${rate.toFixed(0)} records/s told, ${lost} lost, ${mebibytes.toFixed(0)} MiB at most, ${(viewer.bytes() / took / 1024).toFixed(0)} KiB/s to the dashboard`;
    const reached = value <= TARGET_CORES && mebibytes <= TARGET_MIB && lost === 0;
    return { value, unit: 'cores', reached, detail };
  },
};
