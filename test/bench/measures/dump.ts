/** M10: the internal cache as text, and how long replication stands still meanwhile. */
import { join } from "node:path";
import { CONNTRACKD } from "../../lab/conntrackd.ts";
import { CTSYNC } from "../../lab/ctsync.ts";
import { succeed } from "../../lab/execute.ts";
import { kernelCount } from "../../lab/kernel-dump.ts";
import { until } from "../../lab/until.ts";
import { startLoad } from "../background-load.ts";
import { latencySamples, type Span } from "../latency-samples.ts";
import { completeArrival, fill } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, type Pair, withPair } from "../pair.ts";
import { WireCapture } from "../wire-capture.ts";

const FLOWS: Readonly<Record<Form, readonly number[]>> = { quick: [50_000], full: [100_000, 1_000_000] };
const LOAD_PER_SECOND = 2_000;
/** More than come during the longest dump. */
const LOAD_FLOWS = 200_000;
const LOAD_DEADLINE_MS = 10_000;
const DUMP_DEADLINE_MS = 120_000;
const GAP_MAX_MS = 10;

const rowsOf = (flows: number): Row[] => [
  {
    id: `seconds-${flows}`,
    label: `${flows.toLocaleString("en-US")} flows as text`,
    unit: "s",
    better: "lower",
    goals: [{ factor: 1 / 1.5, of: "conntrackd" }],
  },
  {
    id: `gap-${flows}`,
    label: `longest gap in replication meanwhile, ${flows.toLocaleString("en-US")} flows`,
    unit: "ms",
    better: "lower",
    goals: [{ absolute: GAP_MAX_MS }],
  },
];

/** Writes the dump to a file, as an administrator does, and checks that nothing is missing in it. */
async function dumpToFile(node: MeasuredNode, flows: number): Promise<Span> {
  const { lab, realName } = node.namespace;
  const path = join(lab.directory, "dump.txt");
  const client =
    node.program === "conntrackd"
      ? [CONNTRACKD, "-C", node.config, "-i"]
      : [CTSYNC, "dump", "--internal", "--config", node.config];
  const fromMs = Date.now();
  const child = Bun.spawn(["ip", "netns", "exec", realName, ...client], {
    stdin: "ignore",
    stdout: Bun.file(path),
    stderr: "inherit",
    timeout: DUMP_DEADLINE_MS,
  });
  const status = await child.exited;
  const toMs = Date.now();
  const lines = Number.parseInt(await succeed(["wc", "-l", path]), 10);
  if (status !== 0 || !(lines >= flows))
    throw new Error(`${node.program} dumped ${lines} of ${flows} flows, exit status ${status}`);
  return { fromMs, toMs };
}

/** A flow that is born while replication stands still waits until that ends: the longest wait tells the gap. */
async function underLoad(pair: Pair, flows: number): Promise<Readings> {
  const { namespace } = pair.primary;
  const capture = await WireCapture.start(namespace);
  const load = startLoad(namespace, { count: LOAD_FLOWS, rate: LOAD_PER_SECOND, first: flows });
  const coming = async (): Promise<boolean> => (await pair.backup.counts()).external > flows;
  await until(coming, LOAD_DEADLINE_MS, "the load reaches the backup");
  const span = await dumpToFile(pair.primary, flows);
  await load.stop();
  await completeArrival(pair, kernelCount(namespace));
  const samples = latencySamples(namespace, await capture.stop(), span);
  if (samples.length === 0) throw new Error("no flow was born during the dump");
  return {
    [`seconds-${flows}`]: (span.toMs - span.fromMs) / 1000,
    [`gap-${flows}`]: samples[samples.length - 1] / 1000,
  };
}

export const dump: Measure = {
  id: "M10",
  title: "Dump",
  method:
    "The primary's internal cache as text into a file (`conntrackd -i`, `ctsync dump --internal`), start of the command " +
    "included, while 2,000 new flows a second come; and the longest that one of these waited meanwhile, from the kernel's " +
    "timestamp to the first datagram that names it.",
  rows: (form) => FLOWS[form].flatMap(rowsOf),
  subjects: ["conntrackd", "ctsync"],
  repeats: (form) => (form === "quick" ? 1 : 2),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") throw new Error("there is no limit to a dump");
    const readings: Readings[] = [];
    for (const flows of FLOWS[form]) {
      await withPair(subject, {}, async (pair) => {
        await pair.primary.namespace.sysctl({ "net.netfilter.nf_conntrack_timestamp": 1 });
        await fill(pair, flows);
        readings.push(await underLoad(pair, flows));
      });
    }
    return Object.assign({}, ...readings);
  },
};
