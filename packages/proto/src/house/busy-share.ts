/**
 * How much of the time this thread works. By its processor time, where Node tells that of a thread (24): on a machine that is busy with
 * other programs a turn of the loop takes several times what it works, and an agent at rest would seem to be at work.
 */
import { performance } from 'node:perf_hooks';

/** Answers the share since the call before, from 0 to 1; of the first since now. */
export function busyShare(): () => number {
  // Node 22 has none.
  const { threadCpuUsage } = process as Partial<Pick<NodeJS.Process, 'threadCpuUsage'>>;
  if (threadCpuUsage === undefined) return loopShare();
  let [since, usage] = [performance.now(), threadCpuUsage()];
  return () => {
    const [now, next] = [performance.now(), threadCpuUsage()];
    const worked = (next.user + next.system - usage.user - usage.system) / 1_000;
    const share = Math.min(1, worked / Math.max(now - since, 1));
    since = now;
    usage = next;
    return share;
  };
}

/** Of what is not waiting: what other programs take of a turn is in it. */
function loopShare(): () => number {
  let utilization = performance.eventLoopUtilization();
  return () => {
    const before = utilization;
    utilization = performance.eventLoopUtilization();
    return performance.eventLoopUtilization(utilization, before).utilization;
  };
}
