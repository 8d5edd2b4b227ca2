/** Goes through the kernel's table a slice at a time. */
import { conntrackCount } from "../../../ffi/conntrack-table.ts";
import { errnoName } from "../../../ffi/errno.ts";
import type { DumpAge } from "../../cache/recent-events.ts";
import type { Flow } from "../../flow/flow.ts";
import { DUMP_DONE, DUMP_FAILED, DUMP_FLOW, KernelDump } from "../../kernel/dump.ts";
import { explain } from "../../kernel/kernel-error.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { SLICE_MS, type Slice } from "../jobs.ts";

/** A table that is resized while it is dumped is dumped again, this often at most. */
const ATTEMPTS = 5;
/** The clock is looked at once in this many flows. */
const FLOWS_PER_LOOK = 64;

/**
 * Calls `visit` for each entry, at least once, with the time of the slice's beginning or later; how many there were.
 * `age` then knows how old that entry is.
 */
export function* eachKernelFlow(
  flow: Flow,
  what: string,
  visit: (nowMs: number) => void,
  age?: DumpAge,
): Generator<Slice, Result<number>, void> {
  const dump = new KernelDump();
  dump.onPortion = () => age?.received();
  try {
    for (let attempt = 1; ; attempt++) {
      age?.started();
      if (conntrackCount() === 0) return succeed(0); // To say so, the kernel would look through all its buckets in one call.
      const started = dump.start();
      if (!started.ok) return refuse(explain(started.error));
      const read = yield* readDump(dump, flow, what, visit);
      if (read >= 0 && !dump.interrupted) return succeed(read);
      if (attempt === ATTEMPTS) {
        if (read >= 0) return succeed(read);
        return refuse(`the kernel breaks off the dump of its conntrack table: ${errnoName(dump.errno)}`);
      }
    }
  } finally {
    dump.stop();
  }
}

/** How many entries the dump had, or -1 when it failed. */
function* readDump(
  dump: KernelDump,
  flow: Flow,
  what: string,
  visit: (nowMs: number) => void,
): Generator<Slice, number, void> {
  let read = 0;
  let nowMs = monotonicMs();
  let sliceEndMs = nowMs + SLICE_MS;
  for (;;) {
    const step = dump.next(flow);
    if (step === DUMP_FLOW) {
      visit(nowMs);
      if (++read % FLOWS_PER_LOOK !== 0) continue;
      nowMs = monotonicMs();
      if (nowMs < sliceEndMs) continue;
      yield { progress: what, done: read };
    } else if (step === DUMP_DONE) return read;
    else if (step === DUMP_FAILED) return -1;
    else yield 1;
    nowMs = monotonicMs();
    sliceEndMs = nowMs + SLICE_MS;
  }
}
