/**
 * 2,000 seeds, each twice, in two processes (main.ts), as it is all computing. A seed that fails is named with the command
 * that replays it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { loadCode, ROOT } from "./code.ts";
import { runSeed } from "./scenario.ts";
import { World } from "./world.ts";

const only = process.env.CTSYNC_SEED;
const RANGES =
  only === undefined
    ? [
        [1, 1_000],
        [1_001, 2_000],
      ]
    : [[Number(only), Number(only)]];
const DEADLINE_MS = 300_000;

interface Run {
  readonly said: string;
  readonly status: number;
}

async function run(from: number, to: number): Promise<Run> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/main.ts`, "--from", `${from}`, "--to", `${to}`], {
    stdout: "pipe",
    stderr: "inherit",
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const said = await new Response(child.stdout).text();
  return { said, status: await child.exited };
}

describe("two to four replicas under faults of every kind", () => {
  const runs: Promise<Run>[] = [];
  beforeAll(() => {
    for (const [from, to] of RANGES) runs.push(run(from, to));
  });

  test.each(RANGES.map(([from, to], i) => [from, to, i]))(
    "seeds %d to %d: every invariant holds, all caches come to be equal, and each seed runs twice alike",
    async (_from, _to, i) => {
      const { said, status } = await runs[i];
      if (status !== 0) console.log(said);
      expect(status).toBe(0);
    },
    DEADLINE_MS,
  );
});

describe("the worlds of the seeds", () => {
  const worlds = async (): Promise<World[]> => {
    const code = await loadCode(ROOT);
    return Array.from({ length: 300 }, (_, i) => new World(i + 1, code));
  };

  test("have two, three and four nodes, links of each kind, roles that change and backups with traffic", async () => {
    const drawn = await worlds();
    const counts = (name: (world: World) => string | number | boolean) => new Set(drawn.map(name));
    expect(counts(({ nodes }) => nodes.length)).toEqual(new Set([2, 3, 4]));
    expect(counts(({ link }) => link.kind)).toEqual(new Set(["sealed", "checked", "forging"]));
    expect(counts(({ backupsHaveTraffic }) => backupsHaveTraffic)).toEqual(new Set([true, false]));
  });

  test("differ in what they send", async () => {
    const code = await loadCode(ROOT);
    expect(runSeed(1, code).trace).not.toBe(runSeed(2, code).trace);
  });
});
