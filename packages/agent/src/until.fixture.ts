const LOOK_MS = 2;
/** What a test waits for comes at once; a machine that is busy with others takes its time. */
const BOUND_MS = 5_000;

/** Resolves soon after the condition holds, and fails when it does not within a bound. */
export async function until(condition: () => boolean | Promise<boolean>, boundMs = BOUND_MS): Promise<void> {
  const deadline = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${boundMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
