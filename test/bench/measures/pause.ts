/** M12: whether the daemon ever stands still, and whether its memory grows, while flows come and go for a long time. */
import { longestPauseText } from "../../../src/cli/support/status-screen.ts";
import type { StatusReport } from "../../../src/report.ts";
import { median } from "../../figures/statistics.ts";
import { kernelCount } from "../../lab/kernel-dump.ts";
import { startLoad } from "../background-load.ts";
import { longestGapMs } from "../gaps.ts";
import { completeArrival } from "../load.ts";
import type { Form, Measure, Readings, Row } from "../measure.ts";
import { type MeasuredNode, withPair } from "../pair.ts";
import { WireCapture } from "../wire-capture.ts";

const SECONDS: Readonly<Record<Form, number>> = { quick: 10, full: 600 };
const RATE = 20_000;
const ALIVE: Readonly<Record<Form, number>> = { quick: 20_000, full: 100_000 };
const ALIVE_DEADLINE_MS = 30_000;
const SAMPLE_MS = 250;
/** Of the samples, at the beginning and at the end of the second half. */
const SAMPLES_PART = 0.1;
/** Enough to see the headers of the first messages. */
const CAPTURED_BYTES = 128;

const PAUSE_MAX_MS = 10;
/** What garbage waits for its collection comes and goes. */
const GROWTH_MAX_BYTES = 1_000_000;

const rows: readonly Row[] = [
  { id: "pause", label: "longest turn of the loop", unit: "ms", better: "lower", goals: [{ absolute: PAUSE_MAX_MS }] },
  { id: "gap", label: "longest gap between datagrams", unit: "ms", better: "lower", goals: [] },
  {
    id: "growth-primary",
    label: "growth of the primary's memory over the second half",
    unit: "bytes",
    better: "lower",
    goals: [{ absolute: GROWTH_MAX_BYTES }],
  },
  {
    id: "growth-backup",
    label: "growth of the backup's memory over the second half",
    unit: "bytes",
    better: "lower",
    goals: [{ absolute: GROWTH_MAX_BYTES }],
  },
];

/** Resident set of a node, sampled over a time. */
class Growth {
  readonly #node: MeasuredNode;
  readonly #samples: number[] = [];

  constructor(node: MeasuredNode) {
    this.#node = node;
  }

  sample(): void {
    this.#samples.push(this.#node.rssBytes());
  }

  /** Median of the last samples less that of the first. */
  get bytes(): number {
    const part = Math.ceil(this.#samples.length * SAMPLES_PART);
    return median(this.#samples.slice(-part)) - median(this.#samples.slice(0, part));
  }
}

/** Notes what the turn did, too. */
async function longestTurnMs(name: string, node: MeasuredNode, note: (text: string) => void): Promise<number> {
  const { loop }: StatusReport = JSON.parse(await node.command("status", "--json"));
  const did = loop.longest === null ? "" : `, ${longestPauseText(loop.longest)}`;
  note(`the ${name}'s longest turn took ${loop.longestPauseMs.toFixed(1)} ms${did}`);
  return loop.longestPauseMs;
}

export const pause: Measure = {
  id: "M12",
  title: "Endurance",
  method:
    "20,000 events a second for ten minutes (quick: ten seconds), as many new flows as ended ones, 100,000 alive (quick: 20,000): the longest " +
    "turn of either daemon's loop since its start, as it says itself; the longest time between two datagrams with flows, which " +
    "the generator's own pauses are in; and the resident set at the end less that at half time. Growth of up to 1 MB is none.",
  rows: () => rows,
  subjects: ["ctsync"],
  repeats: () => 1,
  async take(subject, form, note): Promise<Readings> {
    if (subject !== "ctsync") throw new Error("ctsync alone says how long its loop stood still");
    return await withPair(subject, {}, async (pair) => {
      const { primary, backup } = pair;
      const seconds = SECONDS[form];
      const load = startLoad(primary.namespace, { action: "churn", alive: ALIVE[form], seconds, rate: RATE });
      await load.waitForLine(/^alive$/, ALIVE_DEADLINE_MS);
      const capture = await WireCapture.start(primary.namespace, CAPTURED_BYTES);
      const startMs = performance.now();
      const growths = [new Growth(primary), new Growth(backup)] as const;
      while (load.running) {
        await Bun.sleep(SAMPLE_MS);
        if (performance.now() - startMs > seconds * 500) for (const growth of growths) growth.sample();
      }
      if ((await load.exited) !== 0) throw new Error(`the generator failed:\n${load.output}`);
      await completeArrival(pair, kernelCount(primary.namespace));
      return {
        pause: Math.max(await longestTurnMs("primary", primary, note), await longestTurnMs("backup", backup, note)),
        gap: longestGapMs(await capture.stop()),
        "growth-primary": growths[0].bytes,
        "growth-backup": growths[1].bytes,
      };
    });
  },
};
