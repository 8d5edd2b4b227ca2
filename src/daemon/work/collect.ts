/**
 * Garbage is collected once a minute, before the runtime would do it by itself. It counts the memory of the caches as
 * objects, hundreds of megabytes of which little may be in use, so a few megabytes of garbage that outlived a first
 * collection are nothing to it. What is alive are some megabytes of objects, whatever the flows.
 */
import { collectGarbage } from "../../../ffi/garbage.ts";
import type { Job } from "../jobs.ts";

const COLLECT_EVERY_MS = 60_000;
/** After the rehearsal, whose garbage is the first. */
const FIRST_AFTER_MS = 300;

/** Never ends. */
export function* collect(): Job<never> {
  yield FIRST_AFTER_MS;
  for (;;) {
    collectGarbage();
    yield COLLECT_EVERY_MS;
  }
}
