/** What is waited for comes at once; a machine that is busy with others takes its time. */
const BOUND_MS = 5_000;

/** Programs that start or come back: each compiles all it runs, finds control by a backoff, and is probed every 5 s. */
export const SETTLED_MS = 40_000;

/** Asks again until an answer satisfies, within a bound; the last answer or error is told when it never does. */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  satisfied: (answer: T) => boolean = Boolean,
  timeoutMs = BOUND_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    const asked = Date.now();
    try {
      const answer = await ask();
      if (satisfied(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    // What takes long, as a command does, leaves others half of the time.
    const pause = Math.min(Math.max(50, Date.now() - asked), 1_000);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(
    `${what}: not within ${timeoutMs} ms; last: ${last instanceof Error ? last.stack : JSON.stringify(last)}`,
  );
}
