import { expect, test } from "bun:test";
import { ctsync } from "./test-daemon.ts";

test("ctsync ready --aside does not fail because no daemon answers; ready alone does", async () => {
  const socket = ["--socket", "/run/ctsync/there-is-none.sock"];
  expect((await ctsync("ready", "--aside", "--quiet", ...socket)).code).toBe(0);
  expect((await ctsync("ready", "--quiet", ...socket)).code).toBe(1);
});

test("ctsync handover takes seconds, whole and not too many", async () => {
  for (const wrong of [
    ["--timeout", "0"],
    ["--timeout", "1.5"],
    ["--hold", "-1"],
    ["--hold", "1000000"],
  ])
    expect((await ctsync("handover", ...wrong)).code).toBe(2);
});
