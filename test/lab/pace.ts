/**
 * Doing things evenly spaced, as real traffic comes: in bursts of a millisecond, a daemon would wake far more seldom.
 *
 * The pause between two is shorter than JavaScript's shortest, so it is the C library's. The kernel ends a pause up to
 * 50 µs late, to end several at once; not so for this process. Signatures: unistd.h, sys/prctl.h.
 */
import { load } from "../../ffi/load.ts";

const c = load("libc.so.6", "libc6", {
  usleep: { args: ["u32"], returns: "i32" },
  prctl: { args: ["i32", "u64_fast"], returns: "i32" },
});
const PR_SET_TIMERSLACK = 29;

/** Calls `act` for actions `from` to `to - 1` as they fall due, all `count` in the end, never ahead of `perSecond`. */
export function pace(count: number, perSecond: number, act: (from: number, to: number) => void): void {
  c.prctl(PR_SET_TIMERSLACK, 1);
  const startMs = performance.now();
  for (let done = 0; done < count; ) {
    const elapsedMs = performance.now() - startMs;
    const due = Math.min(count, Math.ceil((elapsedMs / 1000) * perSecond));
    if (due > done) act(done, due);
    done = due;
    const aheadMs = (done / perSecond) * 1000 - (performance.now() - startMs);
    if (done < count && aheadMs > 0) c.usleep(Math.ceil(aheadMs * 1000));
  }
}
