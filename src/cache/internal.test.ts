import { describe, expect, test } from "bun:test";
import { bare, give, makeFlow } from "../../test/make-flow.ts";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_LIBERAL,
  HAS_MARK,
  HAS_STATE,
  HAS_STATUS,
  HAS_TIMEOUT,
  HELPER,
  INFO,
  IPPROTO_UDP,
  LABELS,
  MARK,
  REPLY_DST,
  STATUS,
  TIMEOUT,
} from "../flow/flow.ts";
import { FlowHash } from "./hash.ts";
import { ALIVE, DEAD, FRESH, InternalCache } from "./internal.ts";

const NOW_MS = 1_000_000;

const cacheOf = (flowsMax: number, peers = 1): InternalCache => new InternalCache(flowsMax, new FlowHash(1, 2), peers);
const numbered = (port: number): Flow => makeFlow({ ports: port });

function read(cache: InternalCache, slot: number, nowMs = NOW_MS): Flow {
  const flow = new Flow();
  cache.read(slot, flow, nowMs);
  return flow;
}

function unseen(cache: InternalCache): number[] {
  const slots: number[] = [];
  for (let slot = cache.nextUnseen(0); slot >= 0; slot = cache.nextUnseen(slot + 1)) slots.push(slot);
  return slots;
}

describe("the life of a flow", () => {
  test("fresh until its peer has it, then alive; dead until the peer knows, then gone", () => {
    const cache = cacheOf(4);
    const peer = cache.ownerFor(0);
    const slot = cache.create(makeFlow(), NOW_MS);
    expect(cache.lifeOf(slot)).toBe(FRESH);
    peer.release(slot);
    expect(cache.lifeOf(slot)).toBe(ALIVE);
    cache.kill(slot);
    expect(cache.lifeOf(slot)).toBe(DEAD);
    expect([cache.count, cache.deadCount, cache.find(makeFlow())]).toEqual([0, 1, slot]);
    peer.release(slot);
    expect([cache.count, cache.deadCount, cache.find(makeFlow())]).toEqual([0, 0, -1]);
  });

  test("an update leaves a fresh flow fresh: the peer must still forget what it knew under this tuple", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow(), NOW_MS);
    cache.upsert(makeFlow({ mark: 5 }), NOW_MS);
    expect(cache.lifeOf(slot)).toBe(FRESH);
  });

  test("a flow that ends before its peer ever heard of it is told as ended, too", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow(), NOW_MS);
    cache.kill(slot);
    expect(cache.lifeOf(slot)).toBe(DEAD);
    cache.ownerFor(0).release(slot);
    expect(cache.find(makeFlow())).toBe(-1);
  });

  test.each([
    ["a new event", (cache: InternalCache, flow: Flow) => cache.create(flow, NOW_MS + 5_000)],
    ["an update or a dump", (cache: InternalCache, flow: Flow) => cache.upsert(flow, NOW_MS + 5_000)],
  ])("a dead flow whose tuple comes back by %s starts afresh, with nothing of its former life", (_, comeBack) => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow({ mark: 7 }), NOW_MS);
    cache.ownerFor(0).release(slot);
    cache.kill(slot);
    expect(comeBack(cache, makeFlow({ status: 4 }))).toBe(slot);
    expect([cache.lifeOf(slot), cache.count, cache.deadCount]).toEqual([FRESH, 1, 0]);
    expect(read(cache, slot).has(HAS_MARK)).toBe(false);
    expect(cache.ageSeconds(slot, NOW_MS + 5_000)).toBe(0);
  });

  test("a new event for a live flow replaces it and makes it fresh again", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow({ mark: 7 }), NOW_MS);
    cache.ownerFor(0).release(slot);
    expect(cache.create(makeFlow(), NOW_MS)).toBe(slot);
    expect(cache.lifeOf(slot)).toBe(FRESH);
    expect(read(cache, slot).words).toEqual(makeFlow().words);
  });

  test("killing twice counts once, and a late release changes nothing", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow(), NOW_MS);
    cache.kill(slot);
    cache.kill(slot);
    expect(cache.deadCount).toBe(1);
    cache.ownerFor(0).release(slot);
    cache.ownerFor(0).release(slot);
    expect([cache.count, cache.deadCount]).toEqual([0, 0]);
  });

  test("without peers an ended flow is gone at once", () => {
    const cache = cacheOf(4, 0);
    const slot = cache.create(makeFlow(), NOW_MS);
    cache.kill(slot);
    expect([cache.count, cache.deadCount, cache.find(makeFlow())]).toEqual([0, 0, -1]);
  });

  test("with eight peers each must hear before a fresh flow is alive and a dead one gone", () => {
    const cache = cacheOf(4, 8);
    const peers = Array.from({ length: 8 }, (_, peer) => cache.ownerFor(peer));
    const slot = cache.create(makeFlow(), NOW_MS);
    for (const [told, peer] of peers.entries()) {
      expect(cache.lifeOf(slot)).toBe(FRESH);
      peer.release(slot);
      if (told === 0) peer.release(slot); // One peer's word counts once.
    }
    expect(cache.lifeOf(slot)).toBe(ALIVE);
    cache.kill(slot);
    for (const peer of peers) {
      expect(cache.lifeOf(slot)).toBe(DEAD);
      peer.release(slot);
    }
    expect(cache.find(makeFlow())).toBe(-1);
  });
});

describe("what an update changed", () => {
  const known = (): { cache: InternalCache; slot: number } => {
    const cache = cacheOf(4);
    const flow = give(makeFlow({ mark: 7, timeoutSeconds: 100, status: 4 }), HAS_STATE, INFO, 3);
    give(flow, HAS_LABELS, LABELS, 1, 0, 0, 8);
    const slot = cache.create(flow, NOW_MS);
    cache.ownerFor(0).release(slot);
    return { cache, slot };
  };

  test.each([
    ["nothing at all", bare(makeFlow()), false],
    ["the same values", give(bare(makeFlow()), HAS_MARK, MARK, 7), false],
    ["a timeout alone", give(bare(makeFlow()), HAS_TIMEOUT, TIMEOUT, 300), false],
    ["the mark", give(bare(makeFlow()), HAS_MARK, MARK, 8), true],
    ["the status", give(bare(makeFlow()), HAS_STATUS, STATUS, 6), true],
    ["the TCP state", give(bare(makeFlow()), HAS_STATE, INFO, 4), true],
    ["a label", give(bare(makeFlow()), HAS_LABELS, LABELS, 1, 0, 0, 9), true],
  ] as const)("%s", (_, update, changed) => {
    const { cache, slot } = known();
    expect(cache.upsert(update, NOW_MS)).toBe(slot);
    expect(cache.changed).toBe(changed);
    expect(cache.lifeOf(slot)).toBe(ALIVE);
  });

  test("a mark of 0 that a dump names is no news for a flow without a mark", () => {
    const cache = cacheOf(4);
    cache.create(makeFlow(), NOW_MS);
    cache.upsert(makeFlow({ mark: 0 }), NOW_MS);
    expect(cache.changed).toBe(false);
  });

  test("a flow that was not there is news", () => {
    const cache = cacheOf(4);
    cache.upsert(makeFlow(), NOW_MS);
    expect(cache.changed).toBe(true);
  });

  test("what is absent from an update stays; labels that are lost make the flow fresh, as an update cannot say that", () => {
    const { cache, slot } = known();
    cache.upsert(give(bare(makeFlow()), HAS_LABELS, LABELS, 0, 0, 0, 0), NOW_MS);
    expect([cache.changed, cache.lifeOf(slot)]).toEqual([true, FRESH]);
    const flow = read(cache, slot);
    expect([flow.words[MARK], flow.state, flow.words[STATUS]]).toEqual([7, 3, 4]);
    expect([...flow.words.slice(LABELS, LABELS + 4)]).toEqual([0, 0, 0, 0]);
    cache.ownerFor(0).release(slot);
    expect(cache.lifeOf(slot)).toBe(ALIVE);
  });

  test("what is absent from an entry of a dump is gone, and the flow fresh: it may be another one under the same tuple", () => {
    const { cache, slot } = known();
    cache.upsert(give(bare(makeFlow()), HAS_HELPER, HELPER, 0x66747000), NOW_MS);
    cache.ownerFor(0).release(slot);
    cache.upsert(give(bare(makeFlow()), HAS_STATUS, STATUS, 4), NOW_MS, true);
    expect([cache.changed, cache.lifeOf(slot)]).toEqual([true, FRESH]);
    const { words } = read(cache, slot);
    expect([words[MARK], words[LABELS], words[HELPER], words[HAS] & (HAS_LABELS | HAS_HELPER)]).toEqual([0, 0, 0, 0]);
    expect([words[INFO], words[STATUS]]).toEqual([3, 4]); // An entry that is offloaded to a flowtable names no state.
    cache.ownerFor(0).release(slot);
    cache.upsert(give(bare(makeFlow()), HAS_STATUS, STATUS, 4), NOW_MS, true);
    expect([cache.changed, cache.lifeOf(slot)]).toEqual([false, ALIVE]);
  });

  test("an entry of a dump that is translated otherwise is another flow, told as new", () => {
    const { cache, slot } = known();
    const entry = makeFlow();
    entry.words[REPLY_DST] = 0xcb007101;
    cache.upsert(entry, NOW_MS, true);
    expect([cache.changed, cache.lifeOf(slot)]).toEqual([true, FRESH]);
  });
});

describe("time", () => {
  test("a flow's age counts from its creation, and its timeout from when the kernel last reported one", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow({ timeoutSeconds: 100 }), NOW_MS);
    cache.upsert(makeFlow({ mark: 1 }), NOW_MS + 30_000);
    expect(read(cache, slot, NOW_MS + 40_000).words[TIMEOUT]).toBe(60);
    cache.upsert(makeFlow({ timeoutSeconds: 200 }), NOW_MS + 50_000);
    expect(read(cache, slot, NOW_MS + 60_000).words[TIMEOUT]).toBe(190);
    expect(cache.ageSeconds(slot, NOW_MS + 60_999)).toBe(60);
  });

  test("a flow that was never given a timeout has none", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow(), NOW_MS);
    expect(read(cache, slot, NOW_MS + 90_000).words[TIMEOUT]).toBe(0);
  });
});

describe("a full cache", () => {
  test("takes no new flow, still updates those it has, and dead flows fill it too", () => {
    const cache = cacheOf(3);
    const slots = [1, 2, 3].map((port) => cache.create(numbered(port), NOW_MS));
    expect(cache.create(numbered(4), NOW_MS)).toBe(-1);
    expect(cache.upsert(numbered(4), NOW_MS)).toBe(-1);
    expect(cache.upsert(numbered(2), NOW_MS)).toBe(slots[1]);
    cache.kill(slots[0]);
    expect([cache.count, cache.create(numbered(4), NOW_MS)]).toEqual([2, -1]);
    cache.ownerFor(0).release(slots[0]);
    expect(cache.create(numbered(4), NOW_MS)).toBe(slots[0]);
  });
});

describe("walks", () => {
  test("live and dead flows are walked apart", () => {
    const cache = cacheOf(6);
    const slots = [1, 2, 3, 4, 5].map((port) => cache.create(numbered(port), NOW_MS));
    cache.kill(slots[0]);
    cache.kill(slots[3]);
    const walk = (next: (from: number) => number): number[] => {
      const found: number[] = [];
      for (let slot = next(0); slot >= 0; slot = next(slot + 1)) found.push(slot);
      return found;
    };
    expect(walk((from) => cache.nextLive(from))).toEqual([slots[1], slots[2], slots[4]]);
    expect(walk((from) => cache.ownerFor(0).nextLive(from))).toEqual([slots[1], slots[2], slots[4]]);
    expect(walk((from) => cache.nextDead(from))).toEqual([slots[0], slots[3]]);
    for (const slot of [slots[0], slots[3]]) cache.drop(slot);
    expect([cache.deadCount, cache.nextDead(0), cache.count]).toEqual([0, -1, 3]);
  });
});

describe("a reread of the kernel", () => {
  test("names the live flows that neither the dump nor an event showed since it began", () => {
    const cache = cacheOf(8);
    const [shown, created, updated, hidden, ended] = [1, 2, 3, 4, 5].map((port) =>
      cache.create(numbered(port), NOW_MS),
    );
    cache.beginPass();
    expect(unseen(cache)).toEqual([shown, created, updated, hidden, ended]);
    cache.upsert(numbered(1), NOW_MS);
    cache.create(numbered(2), NOW_MS);
    cache.upsert(numbered(3), NOW_MS);
    cache.create(numbered(6), NOW_MS);
    cache.kill(ended);
    expect(unseen(cache)).toEqual([hidden]);
    cache.beginPass();
    expect(unseen(cache).length).toBe(5);
  });

  test("a flow that is never shown is unseen in every one of 600 passes, and one that is shown in none", () => {
    const cache = cacheOf(4);
    const hidden = cache.create(numbered(1), NOW_MS);
    cache.create(numbered(2), NOW_MS);
    for (let pass = 1; pass <= 600; pass++) {
      cache.beginPass();
      cache.upsert(numbered(2), NOW_MS);
      expect([pass, unseen(cache)]).toEqual([pass, [hidden]]);
    }
  });

  test("nor does a flow look seen because it was, any number of passes ago", () => {
    for (let before = 0; before <= 256; before++) {
      const cache = cacheOf(2);
      for (let pass = 0; pass < before; pass++) cache.beginPass();
      const slot = cache.create(numbered(1), NOW_MS);
      for (let pass = 0; pass < 257; pass++) {
        cache.beginPass();
        if (cache.nextUnseen(0) !== slot) throw new Error(`created after ${before} passes, seen ${pass + 1} later`);
      }
    }
  });
});

describe("comparing with what the kernel shows", () => {
  test("the timer does not count, every other word does, and nothing is changed by it", () => {
    const cache = cacheOf(4);
    const slot = cache.create(makeFlow({ mark: 1, timeoutSeconds: 100 }), NOW_MS);
    expect(cache.compare(makeFlow({ mark: 1, timeoutSeconds: 900 }))).toBe("same");
    expect(cache.compare(makeFlow({ mark: 2, timeoutSeconds: 100 }))).toBe("different");
    expect(cache.compare(numbered(9))).toBe("missing");
    expect(read(cache, slot).words).toEqual(makeFlow({ mark: 1, timeoutSeconds: 100 }).words);
    cache.kill(slot);
    expect(cache.compare(makeFlow({ mark: 1 }))).toBe("missing");
  });

  test("a flow is unseen until it is seen in this pass, by whatever way", () => {
    const cache = cacheOf(4);
    const [a, b, c] = [1, 2, 3].map((port) => cache.create(numbered(port), NOW_MS)) as [number, number, number];
    cache.beginPass();
    expect([a, b, c].map((slot) => cache.isUnseen(slot))).toEqual([true, true, true]);
    cache.see(a);
    cache.upsert(numbered(2), NOW_MS);
    cache.kill(c);
    expect([a, b, c].map((slot) => cache.isUnseen(slot))).toEqual([false, false, false]);
  });
});

test("a timer that is moved counts from then on", () => {
  const cache = cacheOf(8);
  const slot = cache.create(numbered(1), NOW_MS);
  cache.moveTimer(slot, 5_000, NOW_MS);
  cache.moveTimer(slot, 6_000, NOW_MS + 1_000);
  expect(read(cache, slot, NOW_MS + 11_000).words[TIMEOUT]).toBe(5_990);
});

describe("flows whose sequence numbers the kernel follows", () => {
  const liberal = (port: number): Flow => give(numbered(port), HAS_LIBERAL, TIMEOUT, 100);
  const strict = (cache: InternalCache): number[] => {
    const slots: number[] = [];
    for (let slot = cache.nextStrict(0); slot >= 0; slot = cache.nextStrict(slot + 1)) slots.push(slot);
    return slots;
  };

  test("TCP whose windows it checks, or with a helper; also what is dead, as its entry may stand; nothing else", () => {
    const cache = cacheOf(8);
    const began = cache.create(numbered(1), NOW_MS);
    cache.create(liberal(2), NOW_MS);
    cache.create(makeFlow({ l4proto: IPPROTO_UDP, ports: 3 }), NOW_MS);
    const helped = cache.create(give(numbered(4), HAS_LIBERAL | HAS_HELPER, HELPER, 0x66747000), NOW_MS);
    expect(strict(cache)).toEqual([began, helped]);
    cache.kill(began);
    expect(strict(cache)).toEqual([began, helped]);
    cache.drop(began);
    expect(strict(cache)).toEqual([helped]);
  });

  test("until it ceases to check them, by our request or as an event tells; a life that begins anew is checked", () => {
    const cache = cacheOf(8);
    const [ours, told] = [cache.create(numbered(1), NOW_MS), cache.create(numbered(2), NOW_MS)];
    cache.setLiberal(ours, true);
    cache.upsert(liberal(2), NOW_MS);
    cache.upsert(numbered(2), NOW_MS); // It says nothing of windows.
    expect(strict(cache)).toEqual([]);
    cache.setLiberal(ours, false);
    expect(strict(cache)).toEqual([ours]);
    cache.create(numbered(2), NOW_MS);
    expect(strict(cache)).toEqual([ours, told]);
  });
});
