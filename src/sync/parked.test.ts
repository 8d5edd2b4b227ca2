import { expect, test } from "bun:test";
import { Parked } from "./parked.ts";

test("a question is found by any range that covers its number, with its own range, and only once", () => {
  const parked = new Parked();
  parked.park(10, 0x80000004, 100, 200);
  parked.park(20, 0x80000002, 0, 0);
  expect(parked.takeWithin(11, 19)).toBe(0);
  expect(parked.takeWithin(5, 15)).toBe(0x80000004);
  expect([parked.from, parked.to]).toEqual([100, 200]);
  expect(parked.takeWithin(5, 15)).toBe(0);
  expect(parked.takeWithin(20, 20)).toBe(0x80000002);
  expect(parked.takeWithin(0, 0x7fffffff)).toBe(0);
});

test("ranges may lie across the end of 32 bits", () => {
  const parked = new Parked();
  parked.park(0xfffffffe, 1, 0, 0);
  parked.park(3, 2, 0, 0);
  expect(parked.takeWithin(4, 8)).toBe(0);
  expect([parked.takeWithin(0xfffffff0, 5), parked.takeWithin(0xfffffff0, 5)].sort()).toEqual([1, 2]);
});

test("has room for 1024 questions, and again once one has left", () => {
  const parked = new Parked();
  for (let seq = 0; seq < 1_024; seq++) expect(parked.park(seq, seq + 1, 0, 0)).toBe(true);
  expect(parked.park(1_024, 1, 0, 0)).toBe(false);
  const taken = new Set<number>();
  for (let element = parked.takeWithin(0, 2_000); element !== 0; element = parked.takeWithin(0, 2_000))
    taken.add(element);
  expect(taken.size).toBe(1_024);
  expect(parked.park(1_024, 1, 0, 0)).toBe(true);
});

test("all can be taken out, whatever their numbers", () => {
  const parked = new Parked();
  parked.park(10, 1, 100, 200);
  parked.park(0x90000000, 2, 300, 400);
  const taken = [0, 1].map(() => [parked.take(), parked.from, parked.to]);
  expect(taken.toSorted()).toEqual([
    [1, 100, 200],
    [2, 300, 400],
  ]);
  expect(parked.take()).toBe(0);
});
