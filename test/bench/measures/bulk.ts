/** M8: a backup that has nothing obtains all that the primary has. */
import { fill } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, withPair } from "../pair.ts";

const FLOWS: Readonly<Record<Form, number>> = { quick: 50_000, full: 500_000 };
const POLL_MS = 3;
/** Nothing more is to come once nothing came for so long. */
const STABLE_MS = 2_000;

const rowsOf = (flows: number): readonly Row[] => [
  {
    id: "seconds",
    label: `a backup without flows obtains ${flows.toLocaleString("en-US")}`,
    unit: "s",
    better: "lower",
    goals: [{ factor: 1, of: "conntrackd" }],
  },
  { id: "missing", label: "flows that did not come", unit: "", better: "lower", goals: [{ absolute: 0 }] },
];

/** conntrackd's `-n` returns at once, `ctsync request` when all is there: neither is waited for. */
async function obtain(backup: MeasuredNode, flows: number): Promise<Readings> {
  const startMs = performance.now();
  const asked = backup.program === "conntrackd" ? backup.command("-n") : backup.command("request");
  let last = { external: 0, atMs: startMs };
  while (last.external < flows && performance.now() - last.atMs < STABLE_MS) {
    await Bun.sleep(POLL_MS);
    const { external } = await backup.counts();
    if (external !== last.external) last = { external, atMs: performance.now() };
  }
  await asked;
  return { seconds: (last.atMs - startMs) / 1000, missing: flows - last.external };
}

export const bulk: Measure = {
  id: "M8",
  title: "A fresh backup",
  method:
    "The backup of a replicating pair drops its external cache and asks the primary for everything (`conntrackd -n`, " +
    "`ctsync request`): from the start of that command until its external cache is complete, asked every 3 ms.",
  rows: (form) => rowsOf(FLOWS[form]),
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("there is no limit to a bulk transfer");
    const flows = FLOWS[form];
    return await withPair(subject, {}, async (pair) => {
      const { backup } = pair;
      await fill(pair, flows);
      if (subject === "conntrackd") await backup.command("-f", "external");
      else await backup.command("flush", "external");
      const { external } = await backup.counts();
      if (external !== 0) throw new Error(`${external} flows are left in ${subject}'s external cache`);
      return await obtain(backup, flows);
    });
  },
};
