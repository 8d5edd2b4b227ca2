/**
 * The simulator can fail: each of these faults, put into a copy of the code, is caught, by an invariant that is named.
 *
 * The seeds that are known to catch a fault are tried first; a change of the simulator may make others of them, so more
 * are tried before the fault counts as not caught.
 */
import { describe, expect, test } from "bun:test";
import { loadCode, ROOT } from "./code.ts";
import { MUTANTS } from "./mutants/index.ts";
import { loadMutant, type Mutant } from "./mutate.ts";
import { runSeed } from "./scenario.ts";
import { Violation } from "./violation.ts";

const OTHER_SEEDS = 200;
const DEADLINE_MS = 60_000;

/** The first seed that catches it, and by what. */
async function caught(mutant: Mutant): Promise<{ seed: number; invariant: string } | undefined> {
  const code = await loadMutant(mutant);
  const others = Array.from({ length: OTHER_SEEDS }, (_, i) => i + 1);
  for (const seed of [...mutant.seeds, ...others])
    try {
      runSeed(seed, code, mutant.worlds);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return { seed, invariant: error.invariant };
    }
  return undefined;
}

describe("a fault of the protocol is caught", () => {
  test.each(MUTANTS.map((mutant) => [mutant.fault, mutant] as const))(
    "%s",
    async (_, mutant) => {
      const found = await caught(mutant);
      expect(found).toBeDefined();
      expect(mutant.breaks).toContain(found?.invariant as (typeof mutant.breaks)[number]);
      console.log(`  seed ${found?.seed}: ${found?.invariant}`);
    },
    DEADLINE_MS,
  );

  test("and every invariant catches one", () => {
    const breaks = new Set(MUTANTS.flatMap((mutant) => mutant.breaks));
    expect(breaks).toEqual(
      new Set(["converges", "newer-stays", "bounded", "no-echo", "window", "answered", "proven", "healed"]),
    );
  });
});

describe("a mutant", () => {
  test("whose text is gone, or stands twice, is refused", () => {
    const broken: Mutant = { ...MUTANTS[0], text: "there is no such text" };
    expect(loadMutant(broken)).rejects.toThrow("not once");
    expect(loadMutant({ ...broken, text: "this" })).rejects.toThrow("not once");
  });

  test(
    "that changes nothing is not caught by the seeds that catch the others",
    async () => {
      const code = await loadCode(ROOT);
      for (const { seeds, worlds } of MUTANTS) for (const seed of seeds) runSeed(seed, code, worlds);
    },
    DEADLINE_MS,
  );
});
