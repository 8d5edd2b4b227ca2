/** Empties a cache, or the kernel's table. */
import type { FlushReport, FlushTarget } from "../../report.ts";
import { succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import { type Job, SLICE_MS } from "../jobs.ts";
import type { Node } from "../node.ts";
import { flushKernel } from "./kernel-table.ts";

const FLOWS_PER_LOOK = 64;

export function* flush(node: Node, what: FlushTarget): Job<FlushReport> {
  if (what === "kernel") return yield* flushKernel(node);
  let removed = 0;
  if (what !== "external") removed += node.replica.flushInternal();
  if (what !== "internal") removed += node.replica.flushExternal();
  return succeed({ removed });
}

/** After a takeover: what was committed leaves the external cache. What a peer has told of since `beginTakeover` stays. */
export function* flushCommitted({ replica }: Pick<Node, "replica">): Job<FlushReport> {
  const { external, expectations } = replica;
  expectations.external.forgetCommitted();
  if (external.toldSince === 0 && expectations.external.count === 0) {
    external.endTakeover();
    return succeed({ removed: replica.flushExternal() });
  }
  let removed = 0;
  let sliceEndMs = monotonicMs() + SLICE_MS;
  for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
    if (external.wasToldSince(slot)) continue;
    external.remove(slot);
    if (++removed % FLOWS_PER_LOOK !== 0 || monotonicMs() < sliceEndMs) continue;
    yield 0;
    sliceEndMs = monotonicMs() + SLICE_MS;
  }
  external.endTakeover();
  return succeed({ removed });
}
