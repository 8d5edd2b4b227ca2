/** Waiting in tests: for a condition with a deadline, never for a time. */

const POLL_MS = 20;

/**
 * Polls until `condition` answers something other than false, null or undefined, and returns that; every 20 ms unless told
 * otherwise. After `deadlineMs` throws, saying `what` was awaited.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  deadlineMs: number,
  what: string,
  pollMs = POLL_MS,
): Promise<Exclude<T, false | null | undefined>> {
  const startMs = performance.now();
  for (;;) {
    const answer = await condition();
    if (answer !== false && answer !== null && answer !== undefined) {
      return answer as Exclude<T, false | null | undefined>;
    }
    if (performance.now() - startMs > deadlineMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await Bun.sleep(pollMs);
  }
}
