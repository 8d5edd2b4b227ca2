/**
 * How the kernel's scheduler treats this thread. Signature: sched.h; numbers: linux/sched.h (uapi).
 *
 *   struct sched_param   i32 priority
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  sched_setscheduler: { args: ["i32", "i32", "buffer"], returns: "i32" },
});

const SCHED_RR = 2;
/** Threads that this one starts are ordinary ones. */
const SCHED_RESET_ON_FORK = 0x4000_0000;
const THIS_THREAD = 0;

/**
 * Round-robin real-time scheduling for one thread, the calling one by default: 0; -EPERM without CAP_SYS_NICE and without
 * a limit of RLIMIT_RTPRIO that is as high; -ESRCH when there is no such thread. `priority` is 1 to 99.
 */
export function scheduleRealtime(priority: number, thread = THIS_THREAD): number {
  const parameter = pinned(4);
  new DataView(parameter.buffer).setInt32(0, priority, true);
  return negative(c.sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, parameter));
}
