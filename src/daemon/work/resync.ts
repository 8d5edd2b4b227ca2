/**
 * Resync: reads the kernel's table into the internal cache, and finds out which cached flows the kernel has no more.
 *
 * Replication goes on meanwhile. An entry that the dump lacks is not dead yet, since a dump is not atomic: the kernel is
 * asked for each such flow by name.
 */
import { errnoName } from "../../../ffi/errno.ts";
import { Flow } from "../../flow/flow.ts";
import { explain } from "../../kernel/kernel-error.ts";
import type { ResyncReport } from "../../report.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Job, Slice } from "../jobs.ts";
import type { Node } from "../node.ts";
import { resyncExpectations } from "./expectations.ts";
import { eachKernelFlow } from "./table.ts";

/** `claims`: this node has taken over, so what stands in its kernel is its own to announce. */
export function* resync(node: Node, claims = false): Job<ResyncReport> {
  node.state.rereading++;
  try {
    return yield* reread(node, claims);
  } finally {
    node.state.rereading--;
  }
}

function* reread(node: Node, claims: boolean): Job<ResyncReport> {
  const { replica } = node;
  const flow = new Flow();
  let created = 0;
  let updated = 0;
  const { internalFull } = replica.counters.cache;
  replica.internal.beginPass();
  const read = yield* eachKernelFlow(flow, "reading the kernel", (nowMs) => {
    const entry = replica.kernelEntry(flow, nowMs, claims);
    if (entry === "created") created++;
    else if (entry === "updated") updated++;
  });
  if (!read.ok) return refuse({ error: read.error });
  if (replica.counters.cache.internalFull === internalFull) replica.kernelRead();
  const removed = yield* removeDead(node, flow);
  if (!removed.ok) return refuse({ error: removed.error });
  if (node.config.sync.expectations) {
    const reread = yield* resyncExpectations(node.replica.expectations);
    if (!reread.ok) return refuse({ error: explain(reread.error) });
  }
  return succeed({ read: read.value, created, updated, removed: removed.value });
}

function* removeDead(node: Node, flow: Flow): Generator<Slice, Result<number>, void> {
  const { lookup, replica } = node;
  const { internal } = replica;
  const slots: number[] = [];
  let removed = 0;
  for (let slot = internal.nextUnseen(0); slot >= 0; ) {
    slots.length = 0;
    for (; slot >= 0 && lookup.hasRoom(); slot = internal.nextUnseen(slot + 1)) {
      internal.read(slot, flow, monotonicMs());
      lookup.add(flow);
      slots.push(slot);
    }
    const failure = lookup.ask();
    if (failure < 0) return refuse(`the kernel cannot be asked for flows: ${errnoName(-failure)}`);
    for (let i = 0; i < slots.length; i++) {
      if (lookup.found(i) !== undefined) continue;
      replica.ended(slots[i]);
      removed++;
    }
    yield 0;
  }
  return succeed(removed);
}
