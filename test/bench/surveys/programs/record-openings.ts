/**
 * Loaded before an agent (NODE_OPTIONS=--import), with traces on: takes the tracer's place, keeps when each step of an opening was, and writes
 * all to the file OPENINGS_FILE when the agent ends. The agent itself runs as it is; nothing is exported meanwhile.
 */
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Of one opening at one agent; times in microseconds of the clock that all processes of a machine share. */
export interface Opening {
  readonly id: string;
  readonly end: 'source' | 'destination';
  readonly begun: number;
  judged?: number;
  chosen?: number;
  stepBegun?: number;
  stepEnded?: number;
  ended?: number;
}

const MOST = 200_000;
const file = process.env.OPENINGS_FILE;

const now = (): number => Number(process.hrtime.bigint()) / 1_000;

/** What an agent asks of a flow's span. */
function recorder(opening: Opening) {
  const mark = (step: 'judged' | 'chosen' | 'stepBegun' | 'stepEnded' | 'ended') => (): void => {
    opening[step] = now();
  };
  const [begin, end] = [mark('stepBegun'), mark('stepEnded')];
  return {
    judged: mark('judged'),
    chosen: mark('chosen'),
    step: () => {
      begin();
      return { end };
    },
    end: mark('ended'),
  };
}

if (isMainThread && file !== undefined && (process.argv[1] ?? '').endsWith('weft.js')) {
  // As built, and loaded from where the agent loads it: both share the one module.
  const built = new URL('../../../../packages/agent/dist/flows/tracing.js', import.meta.url);
  const { FlowTracer } = (await import(built.href)) as {
    FlowTracer: { prototype: { begin(flow: { id: string; destinationHost?: string }): unknown } };
  };
  const openings: Opening[] = [];
  FlowTracer.prototype.begin = ({ id, destinationHost }) => {
    if (openings.length >= MOST) return undefined;
    const end = destinationHost === undefined ? 'source' : 'destination';
    const opening: Opening = { id, end, begun: now() };
    openings.push(opening);
    return recorder(opening);
  };
  process.on('exit', () => writeFileSync(file, JSON.stringify(openings)));
}
