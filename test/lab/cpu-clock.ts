/**
 * CPU time that a process has used, in all its threads, those that ended included: its POSIX CPU clock.
 *
 * /proc/PID/schedstat counts the first thread alone and /proc/PID/stat counts in hundredths of a second. The clock's number
 * follows from the pid: ~pid << 3 | CPUCLOCK_SCHED, as clock_getcpuclockid(3) makes it. Signature: time.h.
 *
 *   struct timespec   i64 seconds, i64 nanoseconds, both little-endian; exact in their low words here
 */
import { negative } from "../../ffi/errno.ts";
import { load } from "../../ffi/load.ts";

const c = load("libc.so.6", "libc6", { clock_gettime: { args: ["i32", "buffer"], returns: "i32" } });
const CPUCLOCK_SCHED = 2;
const time = new Uint32Array(new ArrayBuffer(16));

/** Microseconds; throws when there is no such process. */
export function processCpuUs(pid: number): number {
  const answer = negative(c.clock_gettime((~pid << 3) | CPUCLOCK_SCHED, time));
  if (answer < 0) throw new Error(`CPU clock of process ${pid}: clock_gettime answered ${answer}`);
  return time[0] * 1_000_000 + time[2] / 1000;
}
