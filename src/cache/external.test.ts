import { describe, expect, test } from "bun:test";
import { bare, give, HOST, HOST6, makeFlow, SERVER, SERVER6 } from "../../test/make-flow.ts";
import {
  Flow,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_LABELS,
  HAS_MARK,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_TIMEOUT,
  LABELS,
  MARK,
  ORIG_PORTS,
  portsWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  TIMEOUT,
} from "../flow/flow.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";

const NOW_MS = 1_000_000;
const VIRTUAL = 0xcb007101; // 203.0.113.1
const INSIDE = 0x0a000063; // 10.0.0.99

const cacheOf = (flowsMax = 8): ExternalCache => new ExternalCache(flowsMax, new FlowHash(1, 2));
/** As the decoder leaves it: no reply tuple but what NAT attributes said. */
const received = (): Flow => bare(makeFlow());

function read(cache: ExternalCache, key = received(), nowMs = NOW_MS): Flow {
  const flow = new Flow();
  cache.read(cache.find(key), flow, nowMs);
  return flow;
}

const replyOf = ({ words }: Flow): number[] => [words[REPLY_SRC], words[REPLY_DST], words[REPLY_PORTS]];
const MIRRORED = [SERVER[0], HOST[0], portsWord(443, 40_000)];

describe("CT_NEW", () => {
  test("stores a flow with its reply tuple, the mirror of the original one", () => {
    const cache = cacheOf();
    expect(cache.create(received(), NOW_MS)).toBe(true);
    expect(replyOf(read(cache))).toEqual(MIRRORED);
    expect(cache.count).toBe(1);
  });

  test("replaces all that was known: mark, labels, NAT and age", () => {
    const cache = cacheOf();
    const rich = give(give(received(), HAS_MARK, MARK, 7), HAS_LABELS, LABELS, 1);
    cache.create(give(rich, HAS_SNAT_ADDR, REPLY_DST, VIRTUAL), NOW_MS);
    cache.create(received(), NOW_MS + 10_000);
    const flow = read(cache);
    expect([flow.has(HAS_MARK), flow.has(HAS_LABELS), flow.has(HAS_SNAT_ADDR)]).toEqual([false, false, false]);
    expect([flow.words[MARK], flow.words[LABELS]]).toEqual([0, 0]);
    expect(replyOf(flow)).toEqual(MIRRORED);
    expect([cache.count, cache.ageSeconds(cache.find(received()), NOW_MS + 12_000)]).toEqual([1, 2]);
  });
});

describe("CT_UPDATE", () => {
  test("stores a flow that was not known", () => {
    const cache = cacheOf();
    expect(cache.update(received(), NOW_MS)).toBe(true);
    expect(replyOf(read(cache))).toEqual(MIRRORED);
  });

  test("lays over what it carries and keeps the rest, and the age", () => {
    const cache = cacheOf();
    cache.create(give(give(received(), HAS_MARK, MARK, 7), HAS_LABELS, LABELS, 1), NOW_MS);
    cache.update(give(received(), HAS_MARK, MARK, 9), NOW_MS + 5_000);
    const flow = read(cache);
    expect([flow.words[MARK], flow.words[LABELS]]).toEqual([9, 1]);
    expect(cache.ageSeconds(cache.find(received()), NOW_MS + 6_000)).toBe(6);
  });

  const NAT = [
    ["snat_ipv4", HAS_SNAT_ADDR, REPLY_DST, VIRTUAL, [SERVER[0], VIRTUAL, MIRRORED[2]]],
    ["dnat_ipv4", HAS_DNAT_ADDR, REPLY_SRC, INSIDE, [INSIDE, HOST[0], MIRRORED[2]]],
    ["snat_port", HAS_SNAT_PORT, REPLY_PORTS, 50_000, [SERVER[0], HOST[0], portsWord(443, 50_000)]],
    ["dnat_port", HAS_DNAT_PORT, REPLY_PORTS, portsWord(8443, 0), [SERVER[0], HOST[0], portsWord(8443, 40_000)]],
  ] as const;

  test.each(NAT)("%s alone changes its part of the reply tuple, and stays when a later update lacks it", (...row) => {
    const [, has, at, value, reply] = row;
    const cache = cacheOf();
    cache.create(received(), NOW_MS);
    cache.update(give(received(), has, at, value), NOW_MS);
    expect(replyOf(read(cache))).toEqual([...reply]);
    cache.update(give(received(), HAS_MARK, MARK, 1), NOW_MS);
    expect(replyOf(read(cache))).toEqual([...reply]);
  });

  test("NAT attributes that come one by one add up, in whatever order", () => {
    const orders = NAT.flatMap((first) =>
      NAT.filter((row) => row !== first).map((second) => [
        first,
        second,
        ...NAT.filter((row) => row !== first && row !== second),
      ]),
    );
    for (const order of orders) {
      const cache = cacheOf();
      for (const [, has, at, value] of order) cache.update(give(received(), has, at, value), NOW_MS);
      expect(replyOf(read(cache))).toEqual([INSIDE, VIRTUAL, portsWord(8443, 50_000)]);
    }
  });

  test("IPv6 translation keeps all four words", () => {
    const cache = cacheOf();
    const key = bare(makeFlow({ source: HOST6 }));
    const outside = [0x20010db8, 8, 0, 1];
    cache.create(bare(makeFlow({ source: HOST6 })), NOW_MS);
    cache.update(give(bare(makeFlow({ source: HOST6 })), HAS_SNAT_ADDR, REPLY_DST, ...outside), NOW_MS);
    const { words } = read(cache, key);
    expect([...words.slice(REPLY_SRC, REPLY_DST)]).toEqual(SERVER6);
    expect([...words.slice(REPLY_DST, REPLY_PORTS)]).toEqual(outside);
  });
});

describe("CT_DESTROY", () => {
  test("removes the flow, and says so when there was none", () => {
    const cache = cacheOf();
    cache.create(received(), NOW_MS);
    expect(cache.destroy(bare(makeFlow({ zone: 3 })))).toBe(false);
    expect(cache.destroy(received())).toBe(true);
    expect(cache.destroy(received())).toBe(false);
    expect([cache.count, cache.find(received()), cache.nextLive(0)]).toEqual([0, -1, -1]);
  });
});

test("the timeout runs from the last message about the flow", () => {
  const cache = cacheOf();
  cache.create(give(received(), HAS_TIMEOUT, TIMEOUT, 100), NOW_MS);
  expect(read(cache, received(), NOW_MS + 30_000).words[TIMEOUT]).toBe(70);
  cache.update(give(received(), HAS_TIMEOUT, TIMEOUT, 100), NOW_MS + 30_000);
  expect(read(cache, received(), NOW_MS + 40_000).words[TIMEOUT]).toBe(90);
});

test("a full cache refuses what it does not know, by either message, and still takes what it knows", () => {
  const cache = cacheOf(2);
  const flows = [1, 2, 3].map((ports) => bare(makeFlow({ ports })));
  expect(flows.map((flow) => cache.create(flow, NOW_MS))).toEqual([true, true, false]);
  expect(cache.update(bare(makeFlow({ ports: 3 })), NOW_MS)).toBe(false);
  expect(cache.update(give(bare(makeFlow({ ports: 2 })), HAS_MARK, MARK, 1), NOW_MS)).toBe(true);
  expect(cache.create(bare(makeFlow({ ports: 1 })), NOW_MS)).toBe(true);
  cache.destroy(flows[0]);
  expect(cache.update(bare(makeFlow({ ports: 3 })), NOW_MS)).toBe(true);
});

describe("a takeover", () => {
  test("knows what was told of since it began, until the next one begins", () => {
    const cache = cacheOf();
    const [early, late] = [received(), received()];
    late.words[ORIG_PORTS] = portsWord(40_001, 443);
    cache.create(early, NOW_MS);
    cache.beginTakeover();
    expect([cache.toldSince, cache.wasToldSince(cache.find(early))]).toEqual([0, false]);
    cache.create(late, NOW_MS);
    cache.update(early, NOW_MS);
    expect([cache.toldSince, cache.wasToldSince(cache.find(early)), cache.wasToldSince(cache.find(late))]).toEqual([
      2,
      true,
      true,
    ]);
    cache.endTakeover();
    cache.update(late, NOW_MS);
    expect(cache.toldSince).toBe(2);
    cache.beginTakeover();
    expect([cache.toldSince, cache.wasToldSince(cache.find(late))]).toEqual([0, false]);
  });

  test("knows what was adopted, whichever takeover did it, until it is told of again or all is over", () => {
    const cache = cacheOf();
    const [kept, told] = [received(), received()];
    told.words[ORIG_PORTS] = portsWord(40_001, 443);
    for (const flow of [kept, told]) cache.create(flow, NOW_MS);
    const adopted = (): boolean[] => [kept, told].map((flow) => cache.wasAdopted(cache.find(flow)));
    cache.beginTakeover();
    for (const flow of [kept, told]) cache.adopted(cache.find(flow));
    expect(adopted()).toEqual([true, true]);
    cache.update(told, NOW_MS);
    cache.beginTakeover();
    expect(adopted()).toEqual([true, false]);
    expect(cache.wasToldSince(cache.find(told))).toBeFalse();
    cache.endTakeover();
    expect(adopted()).toEqual([false, false]);
  });
});
