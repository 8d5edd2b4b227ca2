/** M5: how long a new flow takes from the kernel to the sync link, and what gathering costs and saves. */
import { latencySamples } from "../latency-samples.ts";
import { completeArrival, insertFlows, WARM_UP_FLOWS, warmUp } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type NodeOptions, withPair } from "../pair.ts";
import { WireCapture } from "../wire-capture.ts";

const RATE = 20_000;
const SECONDS: Readonly<Record<Form, number>> = { quick: 0.5, full: 4 };
const DEFAULT_P99_MAX_US = 1_000;

const rows: readonly Row[] = [
  { id: "p50", label: "median", unit: "µs", better: "lower", goals: [] },
  {
    id: "p99",
    label: "99th percentile",
    unit: "µs",
    better: "lower",
    goals: [{ absolute: DEFAULT_P99_MAX_US }],
  },
  { id: "p50-no-gather", label: "median, gathering off", unit: "µs", better: "lower", goals: [] },
  {
    id: "p99-no-gather",
    label: "99th percentile, gathering off",
    unit: "µs",
    better: "lower",
    goals: [{ factor: 1.2, of: "conntrackd" }],
  },
  {
    id: "cpu-no-gather",
    label: "CPU of the sender per event, gathering off",
    unit: "µs",
    better: "lower",
    goals: [{ factor: 1, of: "conntrackd" }],
  },
];

interface Sample {
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
}

async function sample(program: "conntrackd" | "ctsync", form: Form, options: NodeOptions): Promise<Sample> {
  return await withPair(program, { primary: options }, async (pair) => {
    const { namespace } = pair.primary;
    await namespace.sysctl({ "net.netfilter.nf_conntrack_timestamp": 1 });
    await warmUp(pair);
    const capture = await WireCapture.start(namespace);
    const fromMs = Date.now();
    const flows = RATE * SECONDS[form];
    const beforeUs = pair.primary.cpuUs();
    await insertFlows(namespace, { count: flows, rate: RATE, first: WARM_UP_FLOWS });
    const { cpuUs } = await completeArrival(pair, WARM_UP_FLOWS + flows);
    const samples = latencySamples(namespace, await capture.stop(), { fromMs, toMs: Number.POSITIVE_INFINITY });
    if (samples.length !== flows) throw new Error(`the kernel knows the birth of ${samples.length} of ${flows} flows`);
    const quantile = (part: number): number => samples[Math.floor(part * (samples.length - 1))];
    return { p50: quantile(0.5), p99: quantile(0.99), cpu: (cpuUs[0] - beforeUs) / flows };
  });
}

export const latency: Measure = {
  id: "M5",
  title: "Latency",
  method:
    "From the kernel's own timestamp of a new flow (nf_conntrack_timestamp) to tcpdump's of the first datagram that names " +
    "it, at 20,000 new flows a second; both are of the wall clock. conntrackd has no gathering to switch off: its one " +
    "reading stands beside both of ctsync.",
  rows: () => rows,
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("there is no limit to latency");
    const standard = await sample(subject, form, {});
    const ungathered = subject === "ctsync" ? await sample(subject, form, { gatherMs: 0 }) : standard;
    return {
      p50: standard.p50,
      p99: standard.p99,
      "p50-no-gather": ungathered.p50,
      "p99-no-gather": ungathered.p99,
      "cpu-no-gather": ungathered.cpu,
    };
  },
};
