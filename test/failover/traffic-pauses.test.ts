import { expect, test } from "bun:test";
import { join } from "node:path";
import { longestPauseMs } from "./traffic-pauses.ts";

const PAUSE_MS = 60;

test("a program that stood still says so, and it is read with its length", async () => {
  const program = `
    import { tellPauses } from ${JSON.stringify(join(import.meta.dir, "traffic-pauses.ts"))};
    tellPauses();
    setTimeout(() => Bun.sleepSync(${PAUSE_MS}), 20);
    setTimeout(() => process.exit(), 20 + 2 * ${PAUSE_MS});`;
  const child = Bun.spawn([process.execPath, "--eval", program], { stdout: "pipe" });
  const lines = (await child.stdout.text()).split("\n").map((text) => ({ text }));
  expect(longestPauseMs(lines, 0)).toBeGreaterThanOrEqual(PAUSE_MS);
});

test("the longest since then counts, and nothing else that a program says", () => {
  const said = ["ready", "paused for 90.5 ms until 1000.0", "paused for 12.5 ms until 2000.0", '{"first":1}'];
  const lines = said.map((text) => ({ text }));
  expect([0, 1_500, 2_500].map((sinceMs) => longestPauseMs(lines, sinceMs))).toEqual([90.5, 12.5, 0]);
});
