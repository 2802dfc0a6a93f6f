/** A worker that was to end and hangs in a system call: nothing ends it but the end of its process. */
import { endAtOnce } from '../../bytes/end-at-once.ts';
import { createLogger } from '../../observe/logger.ts';

/** How a worker that was to end is found to hang: by looks in a row. */
export interface EndWatch {
  readonly lookMs: number;
  readonly looks: number;
}

/** 15 s, by looks, so that a host that is busy, or slept meanwhile, is not taken for that. */
export const ENDING: EndWatch = { lookMs: 500, looks: 30 };

/** `holds`: whether anything lives on there that would go with it. Answers with what ends the watch. */
export function watchEnd(thread: string, { lookMs, looks: most }: EndWatch, holds: () => boolean): () => void {
  let looks = 0;
  const look = () => {
    looks += 1;
    if (looks >= most && holds()) endProcess(thread);
  };
  const looking = setInterval(look, lookMs);
  return () => clearInterval(looking);
}

function endProcess(thread: string): void {
  const logger = createLogger(process.env);
  logger.fatal(
    { event: 'thread-hangs', thread },
    'a thread hangs in a system call and cannot be ended: the agent is killed, so that what was taken away lives on nowhere',
  );
  endAtOnce();
}
