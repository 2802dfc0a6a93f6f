/** When nobody waits for an answer any more. */
import type { FastifyReply } from 'fastify';

/** Aborts when whoever asked has gone, so that nothing is looked for in vain. */
export function gone({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort(new Error('whoever asked has gone'));
  });
  return controller.signal;
}
