import { expect, test } from "bun:test";
import { Bulk } from "./bulk.ts";
import { WordQueue } from "./queue.ts";
import { ResendRing } from "./resend-ring.ts";
import type { SlotOwner } from "./session.ts";

const ownerOf = (slots: readonly number[]): SlotOwner => ({
  slotsMax: 8,
  nextLive: (from) => slots.find((slot) => slot >= from) ?? -1,
  release: () => undefined,
});

function parts(): { bulk: Bulk; data: WordQueue; ring: ResendRing; owner: SlotOwner } {
  return { bulk: new Bulk(), data: new WordQueue(8), ring: new ResendRing(16, 0), owner: ownerOf([0, 2, 5]) };
}

/** Sends what the bulk names, as the sender does. */
function sendAll({ bulk, data, ring, owner }: ReturnType<typeof parts>): number[] {
  const sent: number[] = [];
  for (let slot = bulk.next(owner); slot >= 0; slot = bulk.next(owner)) {
    sent.push(slot);
    ring.append(slot + 1, 0, 0);
  }
  bulk.progress(data, ring);
  return sent;
}

test("names every live slot once, and is done when all that was sent is acknowledged", () => {
  const all = parts();
  const { bulk, data, ring, owner } = all;
  expect([bulk.done, bulk.next(owner)]).toEqual([true, -1]);
  bulk.begin();
  expect([bulk.done, bulk.running]).toEqual([false, true]);
  expect(sendAll(all)).toEqual([0, 2, 5]);
  expect([bulk.done, bulk.running]).toEqual([false, false]);
  ring.append(9, 0, 0); // A flow that changed later is no part of it.
  for (const seq of [0, 1, 2]) {
    expect(bulk.done).toBe(false);
    ring.take(seq);
    bulk.progress(data, ring);
  }
  expect(bulk.done).toBe(true);
});

test("what must go out again has to arrive, too", () => {
  const all = parts();
  const { bulk, data, ring } = all;
  bulk.begin();
  sendAll(all);
  ring.take(1);
  data.push(2);
  bulk.repeated(data);
  ring.take(0);
  ring.take(2);
  bulk.progress(data, ring);
  expect(bulk.done).toBe(false);
  ring.append(data.shift() + 1, 0, 0);
  bulk.progress(data, ring);
  expect(bulk.done).toBe(false);
  ring.take(3);
  bulk.progress(data, ring);
  expect(bulk.done).toBe(true);
});

test("asked for again while it is under way, it starts from the first slot", () => {
  const all = parts();
  const { bulk, owner } = all;
  bulk.begin();
  expect([bulk.next(owner), bulk.next(owner)]).toEqual([0, 2]);
  bulk.begin();
  expect(sendAll(all)).toEqual([0, 2, 5]);
  bulk.begin(); // Once more while the last one is arriving.
  expect(bulk.done).toBe(false);
  expect(sendAll(all)).toEqual([0, 2, 5]);
});

test("an empty cache is sent at once, unless older messages are still on their way", () => {
  const { bulk, data, ring } = parts();
  bulk.begin();
  expect(bulk.next(ownerOf([]))).toBe(-1);
  bulk.progress(data, ring);
  expect(bulk.done).toBe(true);
  ring.append(1, 0, 0);
  bulk.begin();
  bulk.next(ownerOf([]));
  bulk.progress(data, ring);
  expect(bulk.done).toBe(false);
  ring.take(0);
  bulk.progress(data, ring);
  expect(bulk.done).toBe(true);
});
