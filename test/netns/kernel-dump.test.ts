/** A dump of the kernel's table while that table is resized: the kernel does not say so, KernelDump does. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { conntrackBuckets } from "../../ffi/conntrack-table.ts";
import { Flow } from "../../src/flow/flow.ts";
import { DUMP_DONE, DUMP_FLOW, KernelDump } from "../../src/kernel/dump.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import { unwrap } from "./kernel-table.ts";

setDefaultTimeout(30_000);
const FLOWS = 2_000;
const GENERATE = `${import.meta.dir}/../lab/generate.ts`;

/** Dumps the table inside the lab; `meanwhile` happens after the first entry. How many entries there were. */
function readAll(dump: KernelDump, meanwhile: () => void): number {
  const flow = new Flow();
  let read = 0;
  for (let step = dump.next(flow); step !== DUMP_DONE; step = dump.next(flow)) {
    if (step !== DUMP_FLOW) throw new Error(`step ${step} after ${read} entries`);
    if (++read === 1) meanwhile();
  }
  return read;
}

test("a table that is resized meanwhile was not dumped whole, and the next dump is", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("one");
  await namespace.trackConnections();
  await namespace.run([process.execPath, GENERATE, "--count", `${FLOWS}`]);
  const dump = new KernelDump();
  unwrap(inside(namespace, () => dump.start()));
  readAll(dump, () => lab.machineSysctl("net.netfilter.nf_conntrack_buckets", conntrackBuckets() * 2));
  expect(dump.interrupted).toBe(true);

  unwrap(inside(namespace, () => dump.start()));
  expect(readAll(dump, () => {})).toBe(FLOWS);
  expect(dump.interrupted).toBe(false);
});
