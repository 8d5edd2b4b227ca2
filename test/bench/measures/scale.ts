/** S: whether the cost of a flow stays the same while the table grows a hundredfold. */

import { kernelCount } from "../../lab/kernel-dump.ts";
import { assertEqual } from "../equality.ts";
import { completeArrival, fill, insertFlows, WARM_UP_FLOWS } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, type Pair, withPair } from "../pair.ts";
import { settled } from "../settle.ts";

const FLOWS: Readonly<Record<Form, readonly number[]>> = {
  quick: [10_000],
  full: [10_000, 100_000, 1_000_000],
};
const RATE = 50_000;
const TOLERANCE_BYTES = 65_536;

const KINDS = [
  { kind: "cpu-sender", label: "CPU of the sender", unit: "µs" },
  { kind: "cpu-receiver", label: "CPU of the receiver", unit: "µs" },
  { kind: "memory-internal", label: "internal cache", unit: "bytes" },
  { kind: "memory-external", label: "external cache", unit: "bytes" },
  { kind: "commit", label: "commit", unit: "µs" },
] as const;
type Kind = (typeof KINDS)[number]["kind"];

const rowsOf = (flows: number): Row[] =>
  KINDS.map(({ kind, label, unit }) => ({
    id: `${kind}-${flows}`,
    label: `${label}, ${flows.toLocaleString("en-US")} flows`,
    unit,
    better: "lower",
    goals: [],
  }));

const rss = (node: MeasuredNode): Promise<number> =>
  settled(() => node.rssBytes(), TOLERANCE_BYTES, `memory of ${node.program}`);

/** CPU time and memory of both while `flows` more come to a pair that has worked before. */
async function growth(pair: Pair, flows: number): Promise<Omit<Record<Kind, number>, "commit">> {
  const { primary, backup } = pair;
  await fill(pair, WARM_UP_FLOWS);
  const [primaryBytes, backupBytes] = await Promise.all([rss(primary), rss(backup)]);
  const [primaryUs, backupUs] = [primary.cpuUs(), backup.cpuUs()];
  await insertFlows(primary.namespace, { count: flows, rate: RATE, first: WARM_UP_FLOWS });
  const { cpuUs } = await completeArrival(pair, WARM_UP_FLOWS + flows);
  const [primaryGrown, backupGrown] = await Promise.all([rss(primary), rss(backup)]);
  return {
    "cpu-sender": (cpuUs[0] - primaryUs) / flows,
    "cpu-receiver": (cpuUs[1] - backupUs) / flows,
    "memory-internal": (primaryGrown - primaryBytes) / flows,
    "memory-external": (backupGrown - backupBytes) / flows,
  };
}

/** Of every flow of the external cache, to a kernel that has none; the command goes straight to the control socket. */
async function commitUs(backup: MeasuredNode, flows: number): Promise<number> {
  const startMs = performance.now();
  await backup.commit();
  const elapsedMs = performance.now() - startMs;
  const standing = kernelCount(backup.namespace);
  if (standing !== flows) throw new Error(`${backup.program} committed ${standing} of ${flows} flows`);
  return (elapsedMs * 1000) / flows;
}

export const scale: Measure = {
  id: "S",
  title: "Scale",
  method:
    "A fresh pair for each size, with 30,000 flows already; then so many more (SNAT, TCP) at 50,000/s: CPU time of both " +
    "until all have arrived, growth of the resident memory once at rest, and the time of a commit of all to an empty " +
    "kernel table, per flow. In ctsync's runs the kernel's table and both caches are compared, flow by flow.",
  rows: (form) => FLOWS[form].flatMap(rowsOf),
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 2),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("scale has no limit of its own");
    const readings: Record<string, number> = {};
    for (const flows of FLOWS[form]) {
      await withPair(subject, {}, async (pair) => {
        const grown = await growth(pair, flows);
        if (subject === "ctsync") await assertEqual(pair);
        await pair.primary.stop("SIGKILL");
        const costs = { ...grown, commit: await commitUs(pair.backup, WARM_UP_FLOWS + flows) };
        for (const { kind } of KINDS) readings[`${kind}-${flows}`] = costs[kind];
      });
    }
    return readings;
  },
};
