/** M3: a burst that is larger than the buffers of conntrackd's example file hold. */
import { arrival, insertFlows } from "../load.ts";
import type { Form, Measure, Readings } from "../measure.ts";
import { withPair } from "../pair.ts";

const FLOWS: Readonly<Record<Form, number>> = { quick: 50_000, full: 200_000 };
const EXAMPLE_BUFFERS = { netlinkBufferBytes: 2_097_152, netlinkBufferMaxBytes: 8_388_608, linkBufferBytes: 1_249_280 };
const DEADLINE_MS = 15_000;
const STABLE_MS: Readonly<Record<Form, number>> = { quick: 1_000, full: 3_000 };

export const burst: Measure = {
  id: "M3",
  title: "Burst",
  method:
    "200,000 new flows (SNAT, TCP; quick: 50,000) as fast as the generator can, with the buffers of conntrackd's example " +
    "file for both programs: 2 MB netlink, growing to 8 MB, and 1.25 MB UDP. Flows that both caches have in the end, 15 s " +
    "later or once nothing has changed for 3 s; and if that is all of them, when, from the end of the burst on.",
  rows: (form) => [
    {
      id: "arrived",
      label: "flows that arrived",
      unit: "",
      better: "higher",
      goals: [{ absolute: FLOWS[form] }],
    },
    { id: "seconds", label: "until all had arrived", unit: "s", better: "lower", goals: [] },
  ],
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 5),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("a burst has no limit of its own");
    return await withPair(subject, { primary: EXAMPLE_BUFFERS, backup: EXAMPLE_BUFFERS }, async (pair) => {
      await insertFlows(pair.primary.namespace, { count: FLOWS[form], rate: "max", first: 0 });
      const { missing, seconds } = await arrival(pair, FLOWS[form], {
        deadlineMs: DEADLINE_MS,
        stableMs: STABLE_MS[form],
      });
      return missing === 0 ? { arrived: FLOWS[form], seconds } : { arrived: FLOWS[form] - missing };
    });
  },
};
