/** The price of a verdict, and of what comes before the first: measured on the evaluator itself, in this process. */
import { compilePolicy, type Policy } from '@weft/proto';
import { type Limit, medianOf } from './limit.ts';
import { makeCalls, makeRules, makeServices, RULES, SERVICES } from './rules.ts';

const VERDICT_TARGET_US = 2;
const COMPILE_TARGET_MS = 200;
const CALLS = 50_000;
const size = `${RULES.toLocaleString('en')} rules and ${SERVICES.toLocaleString('en')} services`;

export const verdict: Limit = {
  name: 'verdict',
  what: `mean time of a verdict under ${size}`,
  target: `at most ${VERDICT_TARGET_US} µs`,
  async measure(quick, signal) {
    const calls = makeCalls(makeServices(), CALLS);
    const policy = compilePolicy({ revision: 1, defaultAction: 'deny', rules: makeRules() });
    const decideAll = (): { microseconds: number; byRule: number; allowed: number } => {
      let byRule = 0;
      let allowed = 0;
      const started = performance.now();
      for (const { source, destination } of calls) {
        const { rule, allowed: yes } = policy.decide(source, destination, '');
        if (rule.startsWith('rule-')) byRule += 1;
        if (yes) allowed += 1;
      }
      return { microseconds: ((performance.now() - started) * 1_000) / calls.length, byRule, allowed };
    };
    // What a party is selected by is worked out at its first call; an agent that has run for a minute is past that.
    const cold = decideAll();
    const warm: number[] = [];
    for (let round = 0; round < (quick ? 10 : 40); round++) {
      signal.throwIfAborted();
      warm.push(decideAll().microseconds);
    }
    const value = medianOf(warm);
    const share = (count: number): string => `${((count / calls.length) * 100).toFixed(0)}%`;
    const detail =
      `${CALLS} different calls, ${share(cold.byRule)} decided by a rule, ${share(cold.allowed)} allowed; ` +
      `${cold.microseconds.toFixed(2)} µs when each call and party is seen for the first time`;
    return { value, unit: 'µs', reached: value <= VERDICT_TARGET_US, detail };
  },
};

export const compile: Limit = {
  name: 'compile',
  what: `time to compile ${size}, with all that is put off until a service first calls or is called`,
  target: `at most ${COMPILE_TARGET_MS} ms`,
  async measure(quick, signal) {
    const times: { compiled: number; all: number }[] = [];
    for (let round = 0; round < (quick ? 3 : 9); round++) {
      signal.throwIfAborted();
      // New objects each time: masks are kept with them.
      const services = makeServices();
      const rules = makeRules();
      const started = performance.now();
      const policy = compilePolicy({ revision: round, defaultAction: 'deny', rules });
      const compiled = performance.now() - started;
      meetAll(policy, services);
      times.push({ compiled, all: performance.now() - started });
    }
    const value = times[0]?.all ?? Number.NaN;
    const detail =
      `the first time in a process, as at an agent's start, ${(times[0]?.compiled ?? 0).toFixed(1)} ms of it at once; ` +
      `later ${medianOf(times.map(({ all }) => all)).toFixed(1)} ms`;
    return { value, unit: 'ms', reached: value <= COMPILE_TARGET_MS, detail };
  },
};

/** Each service once as caller and once as called. */
function meetAll(policy: Policy, services: ReturnType<typeof makeServices>): void {
  for (const service of services) {
    const port = service.ports[0]?.first ?? 0;
    policy.decide({ type: 'service', service }, { service, port, protocol: 'tcp' }, '');
  }
}
