/** The soak in short: some faults of every kind within half a minute, and what its verdict is made of. */
import { expect, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { page, picture } from "./report.ts";
import { growth, type Sample, soak } from "./soak.ts";

const TEST_MS = 120_000;
const NOISE_BYTES = 8_000_000;
const SEED = Number(process.env.CTSYNC_SEED ?? 7);

test.each(["commit", "live"] as const)(
  `half a minute of load and faults: all tables are equal after each, nothing grows (seed ${SEED}), apply = %s`,
  async (apply) => {
    await using lab = await Lab.create();
    const outcome = await soak(lab, {
      ...{ minutes: 0.6, seed: SEED, gapMs: 300, sampleMs: 250, noiseBytes: 32_000_000, say: () => {} },
      load: { alive: 1_000, perSecond: 400, sealed: true, apply },
    });
    expect(outcome.complaints).toEqual([]);
    expect(outcome.incidents.length).toBeGreaterThan(5);
    expect(outcome.flows.ended).toBeGreaterThan(1_000);
    expect(page(outcome, "soak.svg")).toContain("**Verdict: all equal, nothing grew.**");
    expect(picture(outcome)).toContain("<svg");
  },
  TEST_MS,
);

const sample = (seconds: number, megabytes: number, descriptors: number): Sample => ({
  ...{ seconds, flows: 1_000 },
  bytes: [60e6, megabytes * 1e6],
  descriptors: [30, descriptors],
});

test("memory and descriptors that grow are complained of, those that only vary are not", () => {
  const times = Array.from({ length: 100 }, (_, i) => i);
  expect(
    growth(
      times.map((i) => sample(i, 60 + (i % 7), 30 + (i % 3))),
      NOISE_BYTES,
    ),
  ).toEqual([]);
  expect(
    growth(
      times.map((i) => sample(i, 60 + i / 2, 30)),
      NOISE_BYTES,
    ),
  ).toEqual([expect.stringContaining("daemon 2 grew from ")]);
  expect(
    growth(
      times.map((i) => sample(i, 60, 30 + Math.floor(i / 20))),
      NOISE_BYTES,
    ),
  ).toEqual(["daemon 2 had 31 descriptors, then 33"]);
  expect(growth([], NOISE_BYTES)).toEqual([expect.stringContaining("too few")]);
});
