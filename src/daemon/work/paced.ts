/** Work that takes no more than a share of the time, however much there is of it. */
import { monotonicMs } from "../clock.ts";
import type { Slice } from "../jobs.ts";

/** Rests after each slice until the slice was `share` of both together; longer where the work itself asks for it. */
export function* paced<T>(
  work: Generator<Slice, T, void>,
  share: number,
  clock: () => number = monotonicMs,
): Generator<Slice, T, void> {
  try {
    for (;;) {
      const startMs = clock();
      const step = work.next();
      if (step.done) return step.value;
      const restMs = (clock() - startMs) * (1 / share - 1);
      yield Math.max(restMs, typeof step.value === "number" ? step.value : 0);
    }
  } finally {
    work.return(undefined as never);
  }
}
