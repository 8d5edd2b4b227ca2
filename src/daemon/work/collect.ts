/**
 * Garbage is collected once a minute, before the runtime would do it by itself. It counts the memory of the caches as
 * objects, hundreds of megabytes of which little may be in use, so a few megabytes of garbage that outlived a first
 * collection are nothing to it. What is alive are some megabytes of objects, whatever the flows.
 *
 * A collection waits for compilers, which are threads without the loop's priority. They are at work after the rehearsal, and in
 * the first seconds of load: the first collection comes between them or after them.
 */
import { collectGarbage } from "../../../ffi/garbage.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";

const COLLECT_EVERY_MS = 60_000;
const LOOK_MS = 500;
/** Messages of the kernel and of peers between two looks: fewer are no load, as in a pair that only greets. */
const FEW = 50;
/** The first collection waits no longer for a moment without load. */
const LOADED_MS = 15_000;

/** Never ends. */
export function* collect({ events, replica }: Pick<Node, "events" | "replica">, clean = collectGarbage): Job<never> {
  const heard = (): number => events.received + replica.counters.wire.datagrams;
  for (let waitedMs = 0, before = heard(); waitedMs < LOADED_MS; waitedMs += LOOK_MS) {
    yield LOOK_MS;
    const now = heard();
    if (now - before < FEW) break;
    before = now;
  }
  for (;;) {
    clean();
    yield COLLECT_EVERY_MS;
  }
}
