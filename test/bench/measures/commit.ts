/** M7: a takeover's main work, the external cache written into a kernel that has none of its flows, and one that has all. */

import { kernelCount } from "../../lab/kernel-dump.ts";
import { bareInsert } from "../limit/insert.ts";
import { fill } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, withNamespaces, withPair } from "../pair.ts";

const FLOWS: Readonly<Record<Form, readonly number[]>> = { quick: [20_000], full: [100_000, 500_000] };

const rowsOf = (flows: number): Row[] => [
  {
    id: `empty-${flows}`,
    label: `${flows.toLocaleString("en-US")} flows to an empty table, per flow`,
    unit: "µs",
    better: "lower",
    goals: [
      { factor: 1 / 3, of: "conntrackd" },
      { factor: 1 / 0.7, of: "limit" },
    ],
  },
  {
    id: `standing-${flows}`,
    label: `${flows.toLocaleString("en-US")} flows that stand already, per flow`,
    unit: "µs",
    better: "lower",
    goals: [{ factor: 1 / 4, of: "conntrackd" }],
  },
];

/** From the start of the command to its end: both programs end it when the last flow is done. */
async function commitUs(backup: MeasuredNode, flows: number): Promise<number> {
  const startMs = performance.now();
  if (backup.program === "conntrackd") await backup.command("-c");
  else await backup.command("commit");
  const elapsedMs = performance.now() - startMs;
  const standing = kernelCount(backup.namespace);
  if (standing !== flows) throw new Error(`${backup.program} committed ${standing} of ${flows} flows`);
  return (elapsedMs * 1000) / flows;
}

export const commit: Measure = {
  id: "M7",
  title: "Commit",
  method:
    "The primary is killed once the backup has all SNAT flows, and its kernel's table emptied; then the wall time of `conntrackd -c` and of `ctsync commit`, " +
    "start of the command included, first with an empty table, then once more. The limit sends the same flows in batches of " +
    "messages made beforehand, where nobody listens for events.",
  rows: (form) => FLOWS[form].flatMap(rowsOf),
  subjects: ["conntrackd", "ctsync", "limit"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    const readings: Record<string, number> = {};
    for (const flows of FLOWS[form]) {
      if (subject === "limit") {
        const seconds = await withNamespaces(async (_lab, primary) => bareInsert(primary, flows));
        readings[`empty-${flows}`] = (seconds * 1e6) / flows;
        continue;
      }
      await withPair(subject, {}, async (pair) => {
        await fill(pair, flows);
        pair.primary.signal("SIGKILL");
        // Namespaces share the kernel's hash table; a firewall that takes over has only its own flows in it.
        await pair.primary.namespace.run(["conntrack", "-F"], { deadlineMs: 30_000 });
        readings[`empty-${flows}`] = await commitUs(pair.backup, flows);
        readings[`standing-${flows}`] = await commitUs(pair.backup, flows);
      });
    }
    return readings;
  },
};
