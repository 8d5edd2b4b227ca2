import { describe, expect, test } from "bun:test";
import { bare, give, HOST, keyOf, makeFlow } from "../test/make-flow.ts";
import { type Bytes, messagesOf, viewOf } from "../test/outbound.ts";
import { PEER, pair, talk } from "../test/replica-node.ts";
import { Flow, HAS_LABELS, LABELS } from "./flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "./replica.ts";
import * as header from "./wire/header.ts";

/** Types of the data messages in some datagrams. */
const dataTypes = (datagrams: readonly Bytes[]): number[] =>
  datagrams
    .flatMap(messagesOf)
    .map((message) => header.headerType(viewOf(message), 0))
    .filter((type) => type !== header.CTL);

const numbered = (port: number): Flow => makeFlow({ ports: port });

describe("what the kernel says", () => {
  test("goes to the peer as new until it was acknowledged, then as an update, at last as destroyed", () => {
    const [a, b] = pair();
    const types: number[] = [];
    for (const [kind, flow] of [
      [EVENT_NEW, makeFlow()],
      [EVENT_UPDATE, makeFlow({ mark: 5 })],
      [EVENT_DESTROY, makeFlow()],
    ] as const) {
      a.event(kind, flow);
      const said = a.says();
      types.push(...dataTypes(said));
      b.hears(...said);
      talk(a, b, 1_000);
      expect(b.externalKeys()).toEqual(kind === EVENT_DESTROY ? [] : [keyOf(makeFlow())]);
    }
    expect(types).toEqual([header.CT_NEW, header.CT_UPDATE, header.CT_DESTROY]);
    expect(a.replica.internal.deadCount).toBe(0);
  });

  test("events that come close together make one message with the newest state", () => {
    const [a] = pair();
    a.event(EVENT_NEW, makeFlow());
    for (const mark of [1, 2, 3]) a.event(EVENT_UPDATE, makeFlow({ mark }));
    const data = a.says().flatMap(messagesOf);
    expect(data.length).toBe(1);
    expect(data[0].toHex()).toContain("00080007" + "00000003"); // mark
  });

  test("the end of a flow that nobody knew is no news", () => {
    const [a] = pair();
    a.event(EVENT_DESTROY, makeFlow());
    expect([a.says(), a.replica.internal.deadCount]).toEqual([[], 0]);
  });

  test("a dump says what is new, what changed and what was known; only what is new or changed goes out", () => {
    const [a] = pair(2);
    expect(a.replica.kernelEntry(numbered(1), a.nowMs)).toBe("created");
    expect(a.replica.kernelEntry(numbered(2), a.nowMs)).toBe("created");
    expect(dataTypes(a.says())).toEqual([header.CT_NEW, header.CT_NEW]);
    expect(a.replica.kernelEntry(numbered(1), a.nowMs)).toBe("known");
    expect(a.replica.kernelEntry(makeFlow({ ports: 1, timeoutSeconds: 50 }), a.nowMs)).toBe("known");
    expect(dataTypes(a.says())).toEqual([]);
    expect(a.replica.kernelEntry(makeFlow({ ports: 1, mark: 3 }), a.nowMs)).toBe("updated");
    expect(dataTypes(a.says())).toEqual([header.CT_NEW]); // Not acknowledged yet.
    expect(a.replica.kernelEntry(numbered(3), a.nowMs)).toBe("full");
  });

  test("labels that are taken away arrive: the flow is told as new, without them", () => {
    const [a, b] = pair();
    a.event(EVENT_NEW, give(makeFlow(), HAS_LABELS, LABELS, 0, 0, 0, 16));
    talk(a, b, 1_000);
    a.event(EVENT_UPDATE, give(bare(makeFlow()), HAS_LABELS, LABELS, 0, 0, 0, 0));
    talk(a, b, 1_000);
    const flow = new Flow();
    b.replica.external.read(b.replica.external.find(makeFlow()), flow, b.nowMs);
    expect(flow.words[LABELS + 3]).toBe(0);
  });
});

describe("ignored flows", () => {
  test("are counted and go nowhere, by event and by dump", () => {
    const [a] = pair();
    a.filter.setOwn([{ family: 4, words: HOST, prefixBits: 32 }]);
    a.event(EVENT_NEW, makeFlow());
    expect(a.replica.kernelEntry(makeFlow(), a.nowMs)).toBe("ignored");
    expect([a.says(), a.replica.internal.count, a.replica.counters.cache.ignored]).toEqual([[], 0, 2]);
  });

  test("one that became ours to ignore is taken back from the peer when it is next heard of", () => {
    const [a, b] = pair();
    a.event(EVENT_NEW, makeFlow());
    talk(a, b, 1_000);
    expect(b.externalKeys().length).toBe(1);
    a.filter.setOwn([{ family: 4, words: HOST, prefixBits: 32 }]);
    a.event(EVENT_UPDATE, makeFlow());
    talk(a, b, 1_000);
    expect([b.externalKeys(), a.replica.internal.count]).toEqual([[], 0]);
  });

  test("one that ended is forgotten though its address is ignored by now", () => {
    const [a, b] = pair();
    a.event(EVENT_NEW, makeFlow());
    talk(a, b, 1_000);
    a.filter.setOwn([{ family: 4, words: HOST, prefixBits: 32 }]);
    a.event(EVENT_DESTROY, makeFlow());
    talk(a, b, 1_000);
    expect(b.externalKeys()).toEqual([]);
  });
});

describe("a peer that is away", () => {
  test("hears later of a flow that ended meanwhile", () => {
    const [a, b] = pair();
    for (const port of [1, 2]) a.event(EVENT_NEW, numbered(port));
    talk(a, b, 1_000);
    a.event(EVENT_DESTROY, numbered(1));
    for (let second = 0; second < 30; second++) a.says(1_000); // All of it lost.
    b.nowMs = a.nowMs;
    expect([a.replica.internal.deadCount, b.externalKeys().length]).toEqual([1, 2]);
    for (let second = 0; second < 5; second++) talk(a, b, 1_000);
    expect([a.replica.internal.deadCount, b.externalKeys()]).toEqual([0, [keyOf(numbered(2))]]);
  });

  test("is not told of ended flows any more when the room is needed; what lives is told all the same", () => {
    const [a, b] = pair(4);
    for (const port of [1, 2, 3, 4]) a.event(EVENT_NEW, numbered(port));
    a.says(); // Lost.
    for (const port of [1, 2, 3]) a.event(EVENT_DESTROY, numbered(port));
    expect([a.replica.internal.count, a.replica.internal.deadCount]).toEqual([1, 3]);
    a.event(EVENT_NEW, numbered(5));
    expect(dataTypes(a.says())).toEqual([header.CT_NEW]); // 4 was said before, 1 to 3 never will be.
    for (const port of [6, 7]) a.event(EVENT_NEW, numbered(port));
    expect([a.replica.internal.count, a.replica.internal.deadCount]).toEqual([4, 0]);
    expect(a.replica.counters.cache).toMatchObject({ destroysForgotten: 3, internalFull: 0 });
    a.event(EVENT_NEW, numbered(8));
    expect(a.replica.counters.cache.internalFull).toBe(1);
    for (let second = 0; second < 5; second++) talk(a, b, 1_000);
    expect(b.externalKeys()).toEqual([4, 5, 6, 7].map((port) => keyOf(numbered(port))).toSorted());
  });

  test("a slot that was given to another flow is never taken for the former one's when an old message is acknowledged", () => {
    const [a, b] = pair(1);
    a.event(EVENT_NEW, numbered(1));
    const old = a.says();
    a.event(EVENT_DESTROY, numbered(1));
    a.event(EVENT_NEW, numbered(2)); // Takes the only slot.
    b.hears(...old);
    a.hears(...b.says(1_000));
    expect(dataTypes(a.says())).toEqual([header.CT_NEW]);
    expect(a.replica.internal.lifeOf(a.replica.internal.find(numbered(2)))).toBe(0);
  });
});

describe("flushes", () => {
  test("the internal cache is emptied silently: the peer keeps what it has, and nothing of it is sent any more", () => {
    const [a, b] = pair();
    a.event(EVENT_NEW, numbered(1));
    talk(a, b, 1_000);
    for (const port of [2, 3]) a.event(EVENT_NEW, numbered(port));
    a.event(EVENT_DESTROY, numbered(3));
    expect(a.replica.flushInternal()).toBe(2);
    expect(dataTypes(a.says(5_000))).toEqual([]);
    expect([a.replica.internal.count, a.replica.internal.deadCount]).toEqual([0, 0]);
    expect(b.externalKeys()).toEqual([keyOf(numbered(1))]);
    a.event(EVENT_UPDATE, numbered(1));
    expect(dataTypes(a.says())).toEqual([header.CT_NEW]);
  });

  test("the external cache is emptied here alone; a bulk of the peer fills it again", () => {
    const [a, b] = pair();
    for (const port of [1, 2, 3]) a.event(EVENT_NEW, numbered(port));
    talk(a, b, 1_000);
    expect(b.replica.flushExternal()).toBe(3);
    expect([b.replica.external.count, a.replica.internal.count]).toEqual([0, 3]);
    b.replica.sessions[PEER].request();
    talk(a, b, 1_000);
    expect(b.replica.external.count).toBe(3);
  });
});
