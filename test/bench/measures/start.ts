/** M11: how soon a daemon that is started holds what its kernel holds. */

import { kernelCount } from "../../lab/kernel-dump.ts";
import { bareDump } from "../limit/dump.ts";
import { insertFlows } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, withNamespaces, withPair } from "../pair.ts";

const FLOWS: Readonly<Record<Form, number>> = { quick: 50_000, full: 500_000 };
const POLL_MS_EMPTY = 2;
/** An answer costs the daemon CPU time: of seconds, the hundredth part is exact enough. */
const POLL_MS_FULL = 20;
const DEADLINE_MS = 60_000;

const rowsOf = (flows: number): readonly Row[] => [
  {
    id: "full",
    label: `${flows.toLocaleString("en-US")} flows in the kernel`,
    unit: "s",
    better: "lower",
    goals: [{ factor: 1 / 1.2, of: "conntrackd" }],
  },
  { id: "empty", label: "no flow in the kernel", unit: "s", better: "lower", goals: [] },
];

/** From the start of the process until it answers with as many flows as the kernel has. */
async function startSeconds(node: MeasuredNode): Promise<number> {
  const wanted = kernelCount(node.namespace);
  const startMs = performance.now();
  await node.start();
  for (;;) {
    const { internal } = await node.counts();
    const elapsedMs = performance.now() - startMs;
    if (internal >= wanted) return elapsedMs / 1000;
    if (elapsedMs > DEADLINE_MS) throw new Error(`${node.program} has ${internal} of ${wanted} flows after its start`);
    await Bun.sleep(wanted === 0 ? POLL_MS_EMPTY : POLL_MS_FULL);
  }
}

export const start: Measure = {
  id: "M11",
  title: "Start",
  method:
    "From the start of the process until its control socket answers with as many flows in the internal cache as the " +
    "kernel's table has, asked every 20 ms (2 ms when it is empty). The limit reads the same table in batches and only counts.",
  rows: (form) => rowsOf(FLOWS[form]),
  subjects: ["conntrackd", "ctsync", "limit"],
  repeats: (form) => (form === "quick" ? 1 : 2),
  async take(subject, form): Promise<Readings> {
    const flows = FLOWS[form];
    const load = { count: flows, rate: "max", first: 0 } as const;
    if (subject === "limit") {
      return await withNamespaces(async (_lab, primary) => {
        await insertFlows(primary, load);
        const read = bareDump(primary);
        if (read.flows !== flows) throw new Error(`a bare dump read ${read.flows} of ${flows} flows`);
        return { full: read.seconds };
      });
    }
    return await withPair(subject, { only: "primary" }, async ({ primary }) => {
      await primary.stop();
      const empty = await startSeconds(primary);
      await primary.stop();
      await insertFlows(primary.namespace, load);
      return { full: await startSeconds(primary), empty };
    });
  },
};
