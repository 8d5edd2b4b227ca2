/** M9: bytes on the wire per new flow. */
import type { Namespace } from "../../lab/namespace.ts";
import { completeArrival, insertFlows, WARM_UP_FLOWS, warmUp } from "../load.ts";
import type { Form, Measure, Readings } from "../measure.ts";
import { SYNC, withPair } from "../pair.ts";

const SECONDS: Readonly<Record<Form, number>> = { quick: 0.5, full: 3 };
const RATES = [1_000, 20_000] as const;

/** Bytes that left and that came, Ethernet headers included, as the interface counts them. */
async function wireBytes(namespace: Namespace): Promise<number> {
  const [link] = JSON.parse(await namespace.run(["ip", "-json", "-statistics", "link", "show", "dev", SYNC])) as [
    { stats64: Record<"rx" | "tx", { bytes: number }> },
  ];
  return link.stats64.rx.bytes + link.stats64.tx.bytes;
}

export const bytes: Measure = {
  id: "M9",
  title: "Bytes on the wire",
  method:
    "Bytes that the sync interface of the primary sent and received (both directions, Ethernet headers and the programs' " +
    "heartbeat included) while new flows (SNAT, TCP) came for 3 s and until all had arrived, per flow.",
  rows: () =>
    RATES.map((rate) => ({
      id: `bytes-${rate}`,
      label: `per event at ${rate.toLocaleString("en")}/s`,
      unit: "bytes",
      better: "lower",
      goals: [{ factor: 1, of: "conntrackd" }],
    })),
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("bytes on the wire have no limit of their own");
    return await withPair(subject, {}, async (pair) => {
      const { namespace } = pair.primary;
      await warmUp(pair);
      const readings: Record<string, number> = {};
      let standing = WARM_UP_FLOWS;
      for (const rate of RATES) {
        const count = rate * SECONDS[form];
        const before = await wireBytes(namespace);
        await insertFlows(namespace, { count, rate, first: standing });
        standing += count;
        await completeArrival(pair, standing);
        readings[`bytes-${rate}`] = ((await wireBytes(namespace)) - before) / count;
      }
      return readings;
    });
  },
};
