/**
 * How the kernel's scheduler treats this thread. Signatures: sched.h, sys/resource.h; numbers: linux/sched.h and
 * linux/resource.h (uapi).
 *
 *   struct sched_param   i32 priority
 *   struct rusage        i64 s · i64 µs in user code; the same in the kernel; … 72: i64 faults that waited for a disk
 *                        … 128: i64 switches by its own waiting · 136: i64 switches by force
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  sched_setscheduler: { args: ["i32", "i32", "buffer"], returns: "i32" },
  getrusage: { args: ["i32", "buffer"], returns: "i32" },
});

const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** Threads that this one starts are ordinary ones. */
const SCHED_RESET_ON_FORK = 0x4000_0000;
const THIS_THREAD = 0;

/**
 * Round-robin real-time scheduling for one thread, the calling one by default: 0; -EPERM without CAP_SYS_NICE and without
 * a limit of RLIMIT_RTPRIO that is as high; -ESRCH when there is no such thread. `priority` is 1 to 99.
 */
export function scheduleRealtime(priority: number, thread = THIS_THREAD): number {
  return schedule(SCHED_RR, priority, thread);
}

/** The calling thread is an ordinary one again, and may go back as long as it could before: 0 or -errno. */
export function scheduleOrdinary(): number {
  return schedule(SCHED_OTHER, 0, THIS_THREAD);
}

/** Only who has CAP_SYS_NICE may take the flag back, so it stays. */
function schedule(policy: number, priority: number, thread: number): number {
  const parameter = pinned(4);
  new DataView(parameter.buffer).setInt32(0, priority, true);
  return negative(c.sched_setscheduler(thread, policy | SCHED_RESET_ON_FORK, parameter));
}

const RUSAGE_THREAD = 1;
const RUSAGE_BYTES = 144;
/** In 64-bit words. */
const WORD = { userS: 0, userUs: 1, systemS: 2, systemUs: 3, diskFaults: 9, waits: 16, preemptions: 17 };

/** What the calling thread has used of the processor since it began. Reading it takes about half a microsecond. */
export class ThreadUsage {
  readonly #bytes = pinned(RUSAGE_BYTES);
  readonly #words = new BigInt64Array(this.#bytes.buffer);

  /** Looks: the figures below stand until the next look. */
  look(): void {
    c.getrusage(RUSAGE_THREAD, this.#bytes);
  }

  /** Milliseconds on a processor. */
  get cpuMs(): number {
    const seconds = this.#at(WORD.userS) + this.#at(WORD.systemS);
    return seconds * 1_000 + (this.#at(WORD.userUs) + this.#at(WORD.systemUs)) / 1_000;
  }

  /** How often it gave the processor away, to wait for something. */
  get waits(): number {
    return this.#at(WORD.waits);
  }

  /** How often the kernel took the processor away. */
  get preemptions(): number {
    return this.#at(WORD.preemptions);
  }

  /** Pages that had to be read from a disk. */
  get diskFaults(): number {
    return this.#at(WORD.diskFaults);
  }

  #at(word: number): number {
    return Number(this.#words[word]);
  }
}
