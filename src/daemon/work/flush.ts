/** Empties a cache, or the kernel's table. */
import type { FlushReport, FlushTarget } from "../../report.ts";
import { succeed } from "../../result.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";
import { flushKernel } from "./kernel-table.ts";

export function* flush(node: Node, what: FlushTarget): Job<FlushReport> {
  if (what === "kernel") return yield* flushKernel(node);
  let removed = 0;
  if (what !== "external") removed += node.replica.flushInternal();
  if (what !== "internal") removed += node.replica.flushExternal();
  return succeed({ removed });
}
