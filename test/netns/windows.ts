/** Which connections' windows a kernel checks: it would call INVALID what goes on after another firewall passed some of it. */
import * as f from "../../src/flow/flow.ts";
import type { Namespace } from "../lab/namespace.ts";
import { table } from "./kernel-table.ts";

/** Of the connections to a TCP port: how many the kernel has, and how many of them it checks. */
export function windows(namespace: Namespace, port: number): { readonly known: number; readonly strict: number } {
  const ours = table(namespace).filter((words) => (words[f.ORIG_PORTS]! & 0xffff) === port);
  return { known: ours.length, strict: ours.filter((words) => (words[f.HAS]! & f.HAS_LIBERAL) === 0).length };
}
