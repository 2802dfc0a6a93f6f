/** node test/bench/limits/main.ts [--quick] [--only NAME]...: measures the bounds and prints them as a table. */
import { parseArgs } from 'node:util';
import { type Limit, limits } from './index.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', multiple: true } },
});
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(name)));

const chosen = limits.filter(({ name }) => values.only === undefined || values.only.includes(name));
if (chosen.length === 0) throw new Error(`--only takes one of ${limits.map(({ name }) => name).join(', ')}`);
for (const limit of chosen) {
  const started = performance.now();
  const [outcome, detail] = await outcomeOf(limit);
  const seconds = `${((performance.now() - started) / 1_000).toFixed(0)} s`;
  process.stdout.write(
    `${limit.name.padEnd(18)} ${outcome.padEnd(24)} ${limit.target.padEnd(28)} ${seconds.padStart(5)}  ${detail}\n`,
  );
  if (stop.signal.aborted) break;
}

async function outcomeOf(limit: Limit): Promise<[string, string]> {
  try {
    const missing = await limit.missing?.();
    if (missing !== undefined) return ['left out', missing];
    const { value, unit, reached, detail } = await limit.measure(values.quick, stop.signal);
    return [`${value.toPrecision(3)} ${unit} ${reached ? 'reached' : 'MISSED'}`, detail];
  } catch (error) {
    process.exitCode = 1;
    return ['failed', error instanceof Error ? error.message : String(error)];
  }
}
