/** M6: memory a flow takes in the internal and in the external cache, and memory of a daemon that has none. */

import { fill } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, withPair } from "../pair.ts";
import { settled } from "../settle.ts";

const FLOWS: Readonly<Record<Form, number>> = { quick: 100_000, full: 1_000_000 };
/** Less than one page in a hundred flows. */
const TOLERANCE_BYTES = 262_144;

const rows: readonly Row[] = [
  {
    id: "internal",
    label: "a flow in the internal cache",
    unit: "bytes",
    better: "lower",
    goals: [{ factor: 0.4, of: "conntrackd" }],
  },
  {
    id: "external",
    label: "a flow in the external cache",
    unit: "bytes",
    better: "lower",
    goals: [{ factor: 0.4, of: "conntrackd" }],
  },
  {
    id: "empty",
    label: "daemon without flows",
    unit: "bytes",
    better: "lower",
    goals: [{ factor: 1, of: "conntrackd" }],
  },
];

const rss = (node: MeasuredNode): Promise<number> =>
  settled(() => node.rssBytes(), TOLERANCE_BYTES, `memory of ${node.program}`);

export const memory: Measure = {
  id: "M6",
  title: "Memory",
  method:
    "Resident set (VmRSS) of the primary and of the backup without flows and with 1,000,000 (quick: 100,000), each once it " +
    "has come to rest; the difference divided by the flows. Buffers and hash tables that grow with the flows are in it.",
  rows: () => rows,
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 2),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("there is no limit to memory");
    const flows = FLOWS[form];
    return await withPair(subject, {}, async (pair) => {
      const { primary, backup } = pair;
      const [emptyPrimary, emptyBackup] = await Promise.all([rss(primary), rss(backup)]);
      await fill(pair, flows);
      const [fullPrimary, fullBackup] = await Promise.all([rss(primary), rss(backup)]);
      return {
        internal: (fullPrimary - emptyPrimary) / flows,
        external: (fullBackup - emptyBackup) / flows,
        empty: Math.max(emptyPrimary, emptyBackup),
      };
    });
  },
};
