import { expect, test } from "bun:test";
import { SplitBrain } from "./split-brain.ts";

test("two primaries for a moment are a takeover, for longer a split, once", () => {
  const split = new SplitBrain();
  expect(split.look("master", "master", 0)).toBe("none");
  expect(split.isDouble).toBe(true);
  expect(split.look("master", "backup", 500)).toBe("passed");
  expect(split.isDouble).toBe(false);
  expect(split.look("master", "master", 1_000)).toBe("none");
  expect(split.look("master", "master", 2_999)).toBe("none");
  expect(split.look("master", "master", 3_000)).toBe("began");
  expect(split.look("master", "master", 9_000)).toBe("none");
  expect(split.sinceMs).toBe(1_000);
  expect(split.look("master", "backup", 9_001)).toBe("ended");
  expect(split.look("master", "backup", 9_002)).toBe("none");
  expect(split.sinceMs).toBeNull();
});

test("the one that steps down sees its end too; a peer that says nothing is no split", () => {
  const split = new SplitBrain();
  for (const nowMs of [0, 5_000]) split.look("master", "master", nowMs);
  expect(split.look("backup", "master", 5_001)).toBe("ended");
  for (const nowMs of [6_000, 60_000]) expect(split.look("master", "unknown", nowMs)).toBe("none");
});
