import { expect, test } from "bun:test";
import { FifoNames } from "./fifo-names.ts";
import type { FifoWord } from "./fifo-words.ts";

const of = (kind: FifoWord["kind"], name: string): FifoWord => ({ kind, name, role: "backup" });

test("without a name all words count", () => {
  const names = new FifoNames("");
  expect(names.take(of("instance", "INSIDE"), 0)).toBeTrue();
  expect([names.skipped, names.warning(60_000)]).toEqual([0, undefined]);
});

test("with one, its words alone count, and others are no reason for a warning", () => {
  const names = new FifoNames("FIREWALL");
  expect(names.take(of("instance", "INSIDE"), 0)).toBeFalse();
  expect(names.take(of("group", "FIREWALL"), 5)).toBeTrue();
  expect([names.skipped, names.warning(60_000)]).toEqual([1, undefined]);
});

test("a name that is in no word is told once, beside those that are", () => {
  const names = new FifoNames("FIREWAL");
  expect(names.warning(60_000)).toBeUndefined(); // Nothing was said yet.
  names.take(of("instance", "INSIDE"), 60_000);
  names.take(of("group", "FIREWALL"), 60_005);
  expect(names.warning(60_999)).toBeUndefined();
  expect(names.warning(61_000)).toContain('speaks of instance "INSIDE", group "FIREWALL", and not of "FIREWAL"');
  expect(names.warning(90_000)).toBeUndefined();
  expect(names.skipped).toBe(2);
});
