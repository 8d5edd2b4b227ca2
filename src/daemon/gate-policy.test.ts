import { expect, test } from "bun:test";
import { GatePolicy, MutePolicy } from "./gate-policy.ts";

const WATCHDOG_MS = 3_000;

function guarding(mode: "on" | "auto" = "on"): GatePolicy {
  const policy = new GatePolicy(mode, WATCHDOG_MS);
  policy.guard(0);
  expect(policy.look(0, false, 0)).toBe("shut");
  return policy;
}

test("before anything is known it is open; a node that is not primary shuts it, and again before the time is up", () => {
  const policy = new GatePolicy("on", WATCHDOG_MS);
  expect([policy.isShut, policy.dueMs]).toEqual([false, Number.POSITIVE_INFINITY]);
  policy.guard(0);
  expect(policy.look(0, false, 0)).toBe("shut");
  for (let nowMs = policy.dueMs, before = 0; nowMs < 60_000; before = nowMs, nowMs = policy.dueMs) {
    expect(nowMs - before).toBeLessThanOrEqual(WATCHDOG_MS / 2);
    expect(policy.look(0, false, nowMs)).toBe("shut");
  }
});

test("a takeover shuts it once more, and never again; the commit opens it", () => {
  const policy = guarding();
  expect(policy.take(500)).toBe("shut");
  expect(policy.take(600)).toBe("none");
  expect(policy.look(9, false, 1_500)).toBe("none");
  expect(policy.pass()).toBe("open");
  expect(policy.pass()).toBe("none");
  expect(policy.dueMs).toBe(Number.POSITIVE_INFINITY);
});

test("a takeover that never ends: open when the watchdog's time is up", () => {
  const policy = guarding();
  policy.take(500);
  expect(policy.dueMs).toBe(500 + WATCHDOG_MS);
  expect(policy.look(99, false, 500 + WATCHDOG_MS)).toBe("open");
  expect(policy.isShut).toBe(false);
});

test("a step-down shuts it, even in the middle of a takeover", () => {
  const policy = guarding();
  policy.take(500);
  policy.guard(600);
  expect(policy.look(0, false, 600)).toBe("shut");
  policy.take(700);
  policy.pass();
  policy.guard(800);
  expect(policy.look(0, false, 800)).toBe("shut");
});

test("off never shuts; auto does not where the kernel's table is complete already", () => {
  const off = new GatePolicy("off", WATCHDOG_MS);
  off.guard(0);
  expect([off.look(0, false, 0), off.take(1)]).toEqual(["none", "none"]);
  const auto = guarding("auto");
  expect(auto.look(0, true, 1_000)).toBe("open");
  expect(auto.take(1_100)).toBe("none");
  expect(auto.phase).toBe("passing");
});

test("auto looks as soon as the kernel's table is complete, or is no more; on does not", () => {
  const policy = guarding("auto");
  const due = (isLive: boolean, nowMs: number): boolean => {
    policy.notice(isLive, nowMs);
    return policy.dueMs === nowMs;
  };
  expect([due(false, 10), due(true, 20)]).toEqual([false, true]);
  expect(policy.look(0, true, 20)).toBe("open");
  expect([due(true, 30), due(false, 40)]).toEqual([false, true]);
  expect(policy.look(0, false, 40)).toBe("shut");
  const on = guarding();
  on.notice(true, 10);
  expect(on.dueMs).toBe(WATCHDOG_MS / 3);
});

test("packets that keep coming though this node is no primary open it, until the next transition", () => {
  const policy = guarding();
  let held = 0;
  let nowMs = 0;
  let action = "none";
  for (let i = 0; i < 10 && action !== "open"; i++) {
    nowMs = policy.dueMs;
    action = policy.look(++held, false, nowMs);
  }
  expect(action).toBe("open");
  expect(policy.gaveUp).toBe(true);
  expect(nowMs).toBeGreaterThanOrEqual(WATCHDOG_MS);
  expect(nowMs).toBeLessThanOrEqual(2 * WATCHDOG_MS);
  policy.guard(nowMs + 1);
  expect(policy.look(held, false, nowMs + 1)).toBe("shut");
  expect(policy.gaveUp).toBe(false);
});

test("a stray packet now and then opens nothing", () => {
  const policy = guarding();
  for (let i = 1; i < 100; i++) expect(policy.look(i >> 1, false, policy.dueMs)).toBe("shut");
});

test("nothing is answered while a peer is connected, said again before the time is up; without one all is, at once", () => {
  const policy = new MutePolicy(WATCHDOG_MS);
  expect([policy.look(false, 0), policy.isMute, policy.dueMs]).toEqual(["none", false, Number.POSITIVE_INFINITY]);
  expect([policy.look(true, 10), policy.isMute]).toEqual(["mute", true]);
  for (let nowMs = policy.dueMs, before = 10; nowMs < 60_000; before = nowMs, nowMs = policy.dueMs) {
    expect(nowMs - before).toBeLessThanOrEqual(WATCHDOG_MS / 2);
    expect(policy.look(true, nowMs - 1)).toBe("none");
    expect(policy.look(true, nowMs)).toBe("mute");
  }
  expect([policy.look(false, 60_010), policy.isMute, policy.dueMs]).toEqual([
    "unmute",
    false,
    Number.POSITIVE_INFINITY,
  ]);
  expect([policy.look(false, 90_000), policy.look(true, 90_001)]).toEqual(["none", "mute"]);
});
