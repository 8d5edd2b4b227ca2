/** Split brains alone, one in each world (split.ts): what the node that stays primary has in its kernel afterwards. */
import { expect, test } from "bun:test";
import { loadCode, ROOT } from "./code.ts";
import { runSeed } from "./scenario.ts";
import type { Fixed } from "./world.ts";

const only = process.env.CTSYNC_SEED;
const RANGES = only === undefined ? [[1, 100] as const, [101, 200] as const] : [[Number(only), Number(only)] as const];
const WORLDS: Fixed = {
  ...{ nodes: 2, kind: "sealed", backupsHaveTraffic: false, splits: true },
  settings: { isExtended: true, churns: false },
};

const STORIES = RANGES.flatMap(([from, to]) => [
  [from, to, ""] as const,
  [from, to, ", though a daemon restarts"] as const,
]);

test.each(STORIES)(
  "seeds %d to %d: what lives is there as it was last, and nothing that ended%s",
  async (from, to, restarts) => {
    const code = await loadCode(ROOT);
    const failed: string[] = [];
    for (let seed = from; seed <= to; seed++)
      try {
        runSeed(seed, code, { ...WORLDS, splitRestarts: restarts !== "" });
      } catch (error) {
        failed.push(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
      }
    expect(failed).toEqual([]);
  },
  60_000,
);
