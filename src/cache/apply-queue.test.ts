import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { give, keyOf, makeFlow } from "../../test/make-flow.ts";
import { Flow, HAS_MARK, MARK, portsWord, REPLY_PORTS, STATUS } from "../flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY } from "../flow/status.ts";
import { isAnotherEntry } from "./another-entry.ts";
import { ApplyQueue, RENEW_AHEAD_SECONDS } from "./apply-queue.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";

const HASH = new FlowHash(1, 2);
const FLOWS_MAX = 16;
const numbered = (i: number, status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED): Flow =>
  makeFlow({ ports: portsWord(1_000 + i, 443), status, timeoutSeconds: 100 });

function followed(flowsMax = FLOWS_MAX): { queue: ApplyQueue; external: ExternalCache } {
  const queue = new ApplyQueue(flowsMax, HASH);
  queue.follow(true);
  return { queue, external: new ExternalCache(flowsMax, HASH, queue) };
}

/** Takes all that waits as if the kernel took it. */
function applyAll({ queue, external }: ReturnType<typeof followed>, nowMs = 0): string[] {
  const flow = new Flow();
  const keys: string[] = [];
  for (let slot = queue.next(nowMs); slot >= 0; slot = queue.next(nowMs)) {
    external.read(slot, flow, nowMs);
    keys.push(keyOf(flow));
    queue.applied(slot, 100, nowMs);
  }
  return keys;
}

function withdrawn({ queue }: ReturnType<typeof followed>): string[] {
  const flow = new Flow();
  const keys: string[] = [];
  while (queue.nextWithdrawn(flow)) keys.push(keyOf(flow));
  return keys;
}

describe("a slot", () => {
  test("waits once, however often its flow changes", () => {
    const node = followed();
    for (let i = 0; i < 3; i++) node.external.create(numbered(1), 0);
    node.external.update(numbered(2), 0);
    expect(node.queue.waiting).toBe(2);
    expect(applyAll(node)).toEqual([keyOf(numbered(1)), keyOf(numbered(2))]);
    expect([node.queue.waiting, node.queue.standing]).toEqual([0, 2]);
  });

  test("that is given up and taken by another flow while it is listed is named once", () => {
    const node = followed(2);
    for (let i = 1; i <= 20; i++) {
      node.external.create(numbered(i), 0);
      if (i < 20) node.external.destroy(numbered(i));
    }
    expect(applyAll(node)).toEqual([keyOf(numbered(20))]);
    expect(withdrawn(node)).toEqual([]);
  });

  test("is looked at again shortly before its timer ends, once", () => {
    const node = followed();
    node.external.create(numbered(1), 0);
    applyAll(node, 10_000);
    const dueMs = 10_000 + (100 - RENEW_AHEAD_SECONDS) * 1_000;
    expect(node.queue.nextDue(0, FLOWS_MAX, dueMs - 1_000)).toBe(-1);
    expect(node.queue.nextDue(0, FLOWS_MAX, dueMs)).toBe(0);
    expect(node.queue.nextDue(0, FLOWS_MAX, dueMs)).toBe(-1);
  });

  test("whose flow is refused is tried again after 1, 2, 4 seconds, never later than 32, or not at all", () => {
    const { queue, external } = followed();
    external.create(numbered(1), 0);
    const waits: number[] = [];
    for (let nowMs = 0; waits.length < 8; ) {
      queue.next(nowMs);
      queue.refused(0, true, false, nowMs);
      expect([queue.failing, queue.standing]).toEqual([1, 0]);
      const refusedMs = nowMs;
      while (queue.nextDue(0, 1, nowMs) < 0) nowMs += 1_000;
      waits.push((nowMs - refusedMs) / 1_000);
      queue.changed(0, nowMs);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 32, 32]);
    queue.next(0);
    queue.refused(0, false, false, 0);
    expect(queue.nextDue(0, 1, 1e12)).toBe(-1);
    queue.changed(0, 0);
    queue.next(0);
    queue.applied(0, 100, 0);
    expect([queue.failing, queue.triesOf(0)]).toEqual([0, 0]);
  });

  test("whose entry is lost is due a second later, and so is one in whose place another entry stood", () => {
    const node = followed();
    node.external.create(numbered(1), 0);
    applyAll(node);
    node.queue.lost(0, 5_000);
    expect(node.queue.standing).toBe(0);
    expect(node.queue.isSettled(0)).toBeFalse();
    expect(node.queue.nextDue(0, 1, 5_000)).toBe(-1);
    expect(node.queue.nextDue(0, 1, 6_000)).toBe(0);
    node.queue.forget(0); // As what this node says itself.
    node.queue.lost(0, 7_000);
    expect([node.queue.nextDue(0, 1, 7_000), node.queue.nextDue(0, 1, 8_000)]).toEqual([-1, 0]);
  });
});

describe("a flow that ends", () => {
  test("is withdrawn if its entry stands, and only then", () => {
    const node = followed();
    node.external.create(numbered(1), 0);
    applyAll(node);
    node.external.create(numbered(2), 0);
    for (const i of [1, 2]) node.external.destroy(numbered(i));
    expect(node.queue.isWithdrawn(numbered(1))).toBeTrue();
    expect(withdrawn(node)).toEqual([keyOf(numbered(1))]);
    expect([node.queue.waiting, node.queue.standing, node.queue.withdrawing]).toEqual([0, 0, 0]);
  });

  test("and comes back with other NAT is withdrawn and waits", () => {
    const node = followed();
    node.external.create(numbered(1), 0);
    applyAll(node);
    node.external.destroy(numbered(1));
    node.external.create(numbered(1), 0);
    expect([withdrawn(node), applyAll(node)]).toEqual([[keyOf(numbered(1))], [keyOf(numbered(1))]]);
  });

  test("leaves the kernel alone once this node is primary, or the cache was emptied", () => {
    for (const quieten of [(queue: ApplyQueue) => queue.follow(false), (queue: ApplyQueue) => queue.clear()]) {
      const node = followed();
      node.external.create(numbered(1), 0);
      applyAll(node);
      quieten(node.queue);
      node.external.destroy(numbered(1));
      expect(withdrawn(node)).toEqual([]);
    }
  });

  test("in doubt says so", () => {
    const node = followed();
    for (const i of [1, 2]) node.external.create(numbered(i), 0);
    applyAll(node);
    node.queue.found(0, true);
    for (const i of [1, 2]) node.external.destroy(numbered(i));
    const flow = new Flow();
    const doubts: boolean[] = [];
    while (node.queue.nextWithdrawn(flow)) doubts.push(node.queue.doubtful);
    expect(doubts).toEqual([true, false]);
  });
});

test("the oldest that waits is known by its time, or a later one", () => {
  const node = followed();
  expect(node.queue.oldestMs).toBe(Number.POSITIVE_INFINITY);
  node.external.create(numbered(1), 100);
  node.external.create(numbered(2), 200);
  expect(node.queue.oldestMs).toBe(100);
  node.queue.next(300);
  expect(node.queue.oldestMs).toBeWithin(100, 301);
  node.queue.next(400);
  expect(node.queue.oldestMs).toBe(Number.POSITIVE_INFINITY);
});

describe("an entry becomes", () => {
  const before = numbered(1).words;
  test("what only changed its timer, mark or state", () => {
    expect(isAnotherEntry(before, give(numbered(1), HAS_MARK, MARK, 5).words)).toBeFalse();
    expect(isAnotherEntry(numbered(1, IPS_CONFIRMED).words, before)).toBeFalse();
  });
  test("nothing with another reply tuple, or less seen", () => {
    const moved = numbered(1);
    moved.words[REPLY_PORTS]++;
    expect(isAnotherEntry(before, moved.words)).toBeTrue();
    expect(isAnotherEntry(before, numbered(1, IPS_CONFIRMED | IPS_SEEN_REPLY).words)).toBeTrue();
  });
});

/** A kernel as ctnetlink has it: create, or update in place, which leaves the reply tuple and every bit once set. */
class ModelKernel {
  readonly entries = new Map<string, Flow>();
  full = false;

  take(flow: Flow): boolean {
    const standing = this.entries.get(keyOf(flow));
    if (standing === undefined && this.full) return false;
    const entry = new Flow();
    entry.copyFrom(flow);
    if (standing !== undefined) {
      entry.words[REPLY_PORTS] = standing.words[REPLY_PORTS];
      entry.words[STATUS] |= standing.words[STATUS];
    }
    this.entries.set(keyOf(flow), entry);
    return true;
  }
}

type Step = { readonly what: number; readonly i: number; readonly mark: number };
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.nat(9),
  i: fc.integer({ min: 1, max: 6 }),
  mark: fc.integer({ min: 1, max: 5 }),
});

test("whatever comes, changes, ends, is refused or lost, in whatever order: the kernel has what the cache has", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { queue, external } = followed();
      const kernel = new ModelKernel();
      const flow = new Flow();
      let nowMs = 1_000;
      const work = (slots: number): void => {
        while (queue.nextWithdrawn(flow)) kernel.entries.delete(keyOf(flow));
        for (let n = 0; n < slots; n++) {
          const slot = queue.next(nowMs);
          if (slot < 0) return;
          external.read(slot, flow, nowMs);
          if (kernel.take(flow)) queue.applied(slot, 100, nowMs);
          else queue.refused(slot, true, false, nowMs);
        }
      };
      for (const { what, i, mark } of steps) {
        const told = give(numbered(i, mark % 2 ? IPS_CONFIRMED | IPS_ASSURED : IPS_CONFIRMED), HAS_MARK, MARK, mark);
        if (mark > 3) told.words[REPLY_PORTS] = portsWord(443, 50_000 + mark); // Another NAT.
        if (what < 3) external.create(told, nowMs);
        else if (what < 5) external.update(told, nowMs);
        else if (what < 7) external.destroy(told);
        else if (what === 7) work(mark);
        else if (what === 8) kernel.full = !kernel.full;
        else if (kernel.entries.delete(keyOf(told)) && external.find(told) >= 0) queue.lost(external.find(told), nowMs);
        nowMs += 100;
      }
      kernel.full = false;
      for (let second = 0; second < 70; second++, nowMs += 1_000) {
        for (let slot = queue.nextDue(0, FLOWS_MAX, nowMs); slot >= 0; slot = queue.nextDue(slot + 1, FLOWS_MAX, nowMs))
          if (!queue.isSettled(slot)) queue.changed(slot, nowMs);
        work(FLOWS_MAX);
      }
      const seen = (words: Uint32Array): number[] => [words[MARK], words[REPLY_PORTS], words[STATUS]];
      const cached: [string, number[]][] = [];
      for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
        external.read(slot, flow, nowMs);
        cached.push([keyOf(flow), seen(flow.words)]);
      }
      expect(new Map([...kernel.entries].map(([key, { words }]) => [key, seen(words)]))).toEqual(new Map(cached));
      expect([queue.waiting, queue.withdrawing, queue.failing, queue.standing]).toEqual([0, 0, 0, external.count]);
    }),
    { numRuns: 500 },
  );
});
