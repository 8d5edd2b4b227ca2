/** Empties a cache, or the kernel's table. */
import type { FlushReport, FlushTarget } from "../../report.ts";
import { succeed } from "../../result.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";
import { flushKernel } from "./kernel-table.ts";
import { SliceClock } from "./slice-clock.ts";

export function* flush(node: Node, what: FlushTarget): Job<FlushReport> {
  if (what === "kernel") return yield* flushKernel(node);
  let removed = 0;
  if (what !== "external") removed += node.replica.flushInternal();
  if (what !== "internal") removed += node.replica.flushExternal();
  return succeed({ removed });
}

/** After a takeover: what was committed leaves the external cache. What a peer has told of since `beginTakeover` stays. */
export function* flushCommitted({ replica }: Pick<Node, "replica">, slice = new SliceClock()): Job<FlushReport> {
  const { external, expectations } = replica;
  expectations.external.forgetCommitted();
  if (external.toldSince === 0 && expectations.external.count === 0) {
    external.endTakeover();
    return succeed({ removed: replica.flushExternal() });
  }
  let removed = 0;
  for (let slot = 0; slot < external.slotsEnd; slot++) {
    if (slice.isOver()) {
      yield 0;
      slice.begin();
    }
    if (!external.isUsed(slot) || external.wasToldSince(slot)) continue;
    external.remove(slot);
    removed++;
  }
  external.endTakeover();
  return succeed({ removed });
}
