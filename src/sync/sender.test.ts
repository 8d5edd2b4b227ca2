import { describe, expect, test } from "bun:test";
import { drain, type Sent, senderOf, sentControl } from "../../test/sender.ts";
import { FLAG_ACK, FLAG_ALIVE, FLAG_NACK, FLAG_RESYNC } from "../wire/header.ts";

const slots = (sent: readonly Sent[]): number[] => sent.map(({ slot }) => slot);

describe("a flow", () => {
  test("waits once, however often it changes, and is released by the acknowledgement of its newest number", () => {
    const { sender, owner } = senderOf();
    for (const slot of [3, 4, 3, 3]) sender.changed(slot);
    expect(drain(sender).map(({ seq, slot }) => [seq, slot])).toEqual([
      [1_000, 3],
      [1_001, 4],
    ]);
    sender.changed(3);
    expect(sender.unacknowledged).toBe(1);
    sender.acknowledged(1_000, 1_000); // Of a state that is no more.
    expect(owner.released).toEqual([]);
    expect(drain(sender).map(({ seq, slot }) => [seq, slot])).toEqual([[1_002, 3]]);
    expect(sender.acknowledged(1_000, 1_002)).toBe(true);
    expect(owner.released.toSorted()).toEqual([3, 4]);
    expect(sender.acknowledged(1_000, 1_002)).toBe(false);
    expect(sender.unacknowledged).toBe(0);
  });

  test("is not meant by a range that begins beyond all numbers sent and reaches halfway round to before them", () => {
    const { sender, owner } = senderOf();
    for (const slot of [1, 2, 3]) sender.changed(slot);
    drain(sender);
    expect(sender.missing(0x7fff_0000, 0xfffe_ffff)).toBe(0); // Once walked number by number, for 10 seconds.
    expect(sender.acknowledged(0x7fff_0000, 0xfffe_ffff)).toBe(false);
    expect(owner.released).toEqual([]);
    expect(sender.unacknowledged).toBe(3);
  });

  test("that the peer misses goes out again behind those that wait, under a new number", () => {
    const { sender, owner } = senderOf();
    for (const slot of [1, 2, 3]) sender.changed(slot);
    drain(sender);
    sender.changed(4);
    expect(sender.missing(1_000, 1_001)).toBe(2);
    expect(drain(sender).map(({ seq, slot }) => [seq, slot])).toEqual([
      [1_003, 4],
      [1_004, 1],
      [1_005, 2],
    ]);
    sender.acknowledged(1_002, 1_005);
    expect(owner.released.toSorted()).toEqual([1, 2, 3, 4]);
    expect(sender.counters.resent).toBe(2);
  });
});

describe("a range that the peer names", () => {
  test("beyond all that was sent means nothing, though its numbers fall on places of the ring that are taken", () => {
    const { sender, owner } = senderOf();
    sender.changed(1);
    drain(sender);
    for (const from of [1_001, 1_002, 0x40000000]) {
      const to = (from + 0x7fffffff - 10) >>> 0; // As long as the header allows, past the numbers that are behind us.
      expect(sender.acknowledged(from, to)).toBe(false);
      expect(sender.missing(from, to)).toBe(0);
    }
    expect([owner.released, sender.unacknowledged]).toEqual([[], 1]);
  });
});

describe("the window", () => {
  test("stops flows, not control messages, at `inFlightMax`; each acknowledgement lets as many go on", () => {
    const { sender } = senderOf({ inFlightMax: 2 });
    for (const slot of [1, 2, 3, 4]) sender.changed(slot);
    sender.say(FLAG_ACK, 1, 1);
    expect(slots(drain(sender))).toEqual([-1, 1, 2]);
    expect(sender.windowFull).toBe(true);
    sender.acknowledged(1_001, 1_001);
    expect(slots(drain(sender))).toEqual([3]);
    sender.missing(1_002, 1_003);
    expect(slots(drain(sender))).toEqual([4, 2]);
  });

  test("is full before a flow would push an unacknowledged one out of the ring", () => {
    const { sender } = senderOf();
    for (let slot = 0; slot < 20; slot++) sender.changed(slot);
    expect(drain(sender).length).toBe(16);
    sender.acknowledged(1_001, 1_015); // All but the oldest, and that one is in the way.
    expect(drain(sender)).toEqual([]);
    sender.acknowledged(1_000, 1_000);
    expect(slots(drain(sender))).toEqual([16, 17, 18, 19]);
  });
});

describe("control messages", () => {
  test("go before flows, in order, with their ranges; ALIVE alone is not kept", () => {
    const { sender } = senderOf();
    sender.changed(7);
    sender.ask(FLAG_NACK, 5, 9);
    sender.say(FLAG_ALIVE, 0, 0);
    sender.ask(FLAG_RESYNC, 0, 0);
    expect(drain(sender)).toEqual([
      { seq: 1_000, slot: -1, flags: FLAG_NACK, from: 5, to: 9 },
      { seq: 1_001, slot: -1, flags: FLAG_ALIVE, from: 0, to: 0 },
      { seq: 1_002, slot: -1, flags: FLAG_RESYNC, from: 0, to: 0 },
      { seq: 1_003, slot: 7, flags: 0, from: 0, to: 0 },
    ]);
    expect([sender.unacknowledged, sender.asked]).toEqual([3, 2]);
  });

  test("that the peer misses go out again with their old ranges, but not an ALIVE", () => {
    const { sender } = senderOf();
    sender.say(FLAG_ACK, 5, 9);
    sender.say(FLAG_ALIVE, 0, 0);
    sender.ask(FLAG_NACK, 11, 12);
    drain(sender);
    expect(sender.missing(1_000, 1_002)).toBe(0);
    expect(drain(sender).map(({ flags, from, to }) => [flags, from, to])).toEqual([
      [FLAG_ACK, 5, 9],
      [FLAG_NACK, 11, 12],
    ]);
  });

  test("beyond conntrackd: acknowledgements that wait and touch are told as one", () => {
    const { sender } = senderOf();
    sender.say(FLAG_ACK, 10, 12);
    sender.ask(FLAG_NACK, 13, 13);
    sender.say(FLAG_ACK, 20, 20);
    sender.say(FLAG_ACK, 13, 14);
    sender.say(FLAG_ACK, 8, 9);
    sender.say(FLAG_ACK, 22, 22);
    expect(drain(sender).map(({ flags, from, to }) => [flags, from, to])).toEqual([
      [FLAG_ACK, 8, 14],
      [FLAG_NACK, 13, 13],
      [FLAG_ACK, 20, 20],
      [FLAG_ACK, 22, 22],
    ]);
  });

  test("are dropped whole and counted when too many wait, and none of the others is garbled by it", () => {
    const { sender } = senderOf();
    const asked = (i: number): [number, number, number] => [FLAG_NACK, 100 * i, 100 * i + 9];
    let i = 0;
    for (; sender.counters.controlDropped === 0; i++) sender.ask(...asked(i));
    const kept = i - 1;
    expect(kept).toBeGreaterThan(16);
    expect(sender.asked).toBe(kept);
    for (let round = 0; round < 3; round++) {
      expect(sentControl(sender)).toMatchObject({ flags: FLAG_NACK, from: 100 * round, to: 100 * round + 9 });
      sender.ask(...asked(kept + round));
    }
    const rest = drain(sender).map(({ flags, from, to }) => [flags, from, to]);
    expect(rest).toEqual(Array.from({ length: kept }, (_, n) => asked(n + 3)));
  });
});

describe("a question", () => {
  test("is asked until the peer has acknowledged it, also when the ring has long forgotten its number", () => {
    const { sender } = senderOf();
    sender.ask(FLAG_RESYNC, 0, 0);
    drain(sender);
    for (let i = 0; i < 50; i++) {
      sender.say(FLAG_ALIVE, 0, 0);
      drain(sender);
    }
    expect(sender.asked).toBe(1);
    sender.acknowledged(1_000, 1_000);
    expect(sender.asked).toBe(0);
  });

  test("that the peer misses is asked again, also when the ring has long forgotten its number", () => {
    const { sender } = senderOf();
    sender.ask(FLAG_NACK, 3, 4);
    drain(sender);
    for (let i = 0; i < 50; i++) {
      sender.say(FLAG_ALIVE, 0, 0);
      drain(sender);
    }
    sender.missing(1_000, 1_050);
    expect(drain(sender)).toMatchObject([{ flags: FLAG_NACK, from: 3, to: 4 }]);
    expect(sender.asked).toBe(1);
  });

  test.each([
    ["just sent", 0],
    ["long out of the ring", 50],
  ])("that was %s when the peer begins a new life: RESYNC is asked again, NACK is settled", (_, later) => {
    const { sender } = senderOf();
    sender.ask(FLAG_RESYNC, 0, 0);
    sender.ask(FLAG_NACK, 3, 4);
    drain(sender);
    for (let i = 0; i < later; i++) {
      sender.say(FLAG_ALIVE, 0, 0);
      drain(sender);
    }
    sender.startOver();
    const [again, ...more] = drain(sender);
    expect([again.flags, more]).toEqual([FLAG_RESYNC, []]);
    expect(sender.asked).toBe(1);
    sender.acknowledged(again.seq, again.seq);
    expect(sender.asked).toBe(0);
  });
});

describe("a peer that begins a new life", () => {
  test("is sent again what it had not acknowledged, and acknowledgements of the former life are forgotten", () => {
    const { sender } = senderOf();
    for (const slot of [1, 2, 3]) sender.changed(slot);
    sender.say(FLAG_ACK, 5, 9);
    drain(sender);
    sender.acknowledged(1_002, 1_002);
    sender.startOver();
    expect(drain(sender).map(({ slot }) => slot)).toEqual([1, 3]);
  });
});

describe("retain", () => {
  test("forgets slots that wait and slots that are on their way, and keeps the order of the others", () => {
    const { sender, owner } = senderOf();
    for (const slot of [1, 2, 3]) sender.changed(slot);
    drain(sender);
    for (const slot of [4, 5, 6]) sender.changed(slot);
    sender.retain((slot) => slot % 2 === 0);
    expect([sender.unacknowledged, sender.data.length]).toEqual([1, 2]);
    expect(slots(drain(sender))).toEqual([4, 6]);
    sender.acknowledged(1_000, 1_010);
    expect(owner.released.toSorted()).toEqual([2, 4, 6]);
    for (const slot of [1, 5]) sender.changed(slot); // Another flow's slots now.
    expect(slots(drain(sender))).toEqual([1, 5]);
  });

  test("does not make a bulk look arrived whose flows still wait", () => {
    const { sender, owner } = senderOf();
    owner.live = [1, 2, 3];
    sender.bulk.begin();
    drain(sender);
    sender.missing(1_000, 1_002);
    sender.retain((slot) => slot !== 2);
    sender.acknowledged(1_000, 1_002);
    expect(sender.bulk.done).toBe(false);
    drain(sender);
    sender.acknowledged(1_003, 1_004);
    expect(sender.bulk.done).toBe(true);
  });
});

describe("a bulk", () => {
  test("sends what changed first, then every live slot once, and takes flows on their way along", () => {
    const { sender, owner } = senderOf({ inFlightMax: 3 });
    owner.live = [0, 1, 2, 3, 4];
    sender.changed(1);
    drain(sender);
    sender.bulk.begin();
    sender.changed(3);
    expect(slots(drain(sender))).toEqual([3, 0]);
    sender.acknowledged(1_001, 1_002);
    expect(slots(drain(sender))).toEqual([1, 2, 3]); // 1 leaves its old number for a new one.
    sender.acknowledged(1_000, 1_005);
    expect(slots(drain(sender))).toEqual([4]);
    expect(sender.bulk.done).toBe(false);
    sender.acknowledged(1_006, 1_006);
    expect([sender.bulk.done, sender.unacknowledged]).toEqual([true, 0]);
  });
});

describe("what was found", () => {
  test("waits for all that changes, and for a bulk, which takes it along; it is not settled before it was told", () => {
    const { sender, owner } = senderOf({ inFlightMax: 3 });
    owner.live = [0, 1, 2, 3];
    for (const slot of [1, 5, 6]) sender.found(slot);
    sender.changed(2);
    expect([sender.waiting, sender.isSettled(1), sender.isPostponed(1)]).toEqual([4, false, true]);
    sender.bulk.begin();
    expect(slots(drain(sender))).toEqual([2, 0, 1]);
    sender.acknowledged(1_000, 1_002);
    expect([sender.isSettled(1), sender.isPostponed(1), sender.waiting]).toEqual([true, false, 2]);
    expect(slots(drain(sender))).toEqual([2, 3, 5]);
    sender.acknowledged(1_003, 1_005);
    expect(sender.bulk.done).toBe(true);
    expect(slots(drain(sender))).toEqual([6]);
  });

  test("has left when all of it has gone, by whatever way", () => {
    const { sender } = senderOf();
    sender.found(1);
    const { queueEnd, laterEnd } = sender;
    expect(sender.hasLeft(queueEnd, laterEnd)).toBe(false);
    sender.changed(1);
    sender.nextFlow();
    sender.changed(2); // Something always changes.
    expect(sender.hasLeft(queueEnd, laterEnd)).toBe(true);
  });

  test("waits no longer once it changes; what was on its way goes before the others; each goes once", () => {
    const { sender } = senderOf();
    sender.changed(3);
    drain(sender);
    for (const slot of [1, 2, 3, 2]) sender.found(slot);
    sender.changed(2);
    expect(slots(drain(sender))).toEqual([3, 2, 1]);
    sender.acknowledged(1_000, 1_003);
    expect(sender.waiting + sender.unacknowledged).toBe(0);
  });

  test("is forgotten with its slot, and found again by the next flow there", () => {
    const { sender } = senderOf();
    for (const slot of [1, 2, 3]) sender.found(slot);
    sender.changed(3);
    sender.retain((slot) => slot === 2);
    expect(sender.waiting).toBe(1);
    sender.found(1);
    expect(slots(drain(sender))).toEqual([2, 1]);
  });
});

describe("beyond conntrackd: what the peer passed over without a word", () => {
  test("goes out again once it has stayed unacknowledged for three seconds behind what was acknowledged", () => {
    const { sender, owner } = senderOf();
    for (const slot of [1, 2, 3]) sender.changed(slot);
    drain(sender);
    sender.acknowledged(1_001, 1_002);
    expect(sender.repeatOverdue(false, 10_000)).toBe(0);
    expect(sender.repeatOverdue(false, 12_999)).toBe(0);
    expect(sender.repeatOverdue(false, 13_000)).toBe(1);
    const [again] = drain(sender);
    expect(again.slot).toBe(1);
    sender.acknowledged(again.seq, again.seq);
    expect(owner.released.toSorted()).toEqual([1, 2, 3]);
  });

  test("not, as long as the peer has acknowledged nothing behind it", () => {
    const { sender } = senderOf();
    sender.changed(1);
    drain(sender);
    expect([0, 4_000, 8_000].map((nowMs) => sender.repeatOverdue(false, nowMs))).toEqual([0, 0, 0]);
  });

  test("goes out again on a full ring too, where each new message pushes the oldest one out", () => {
    const { sender } = senderOf();
    for (let number = 1; number <= 16; number++) sender.ask(FLAG_NACK, 10 * number, 10 * number);
    drain(sender);
    const second = (number: number): number => {
      sender.say(FLAG_ACK, 500 + 2 * number, 500 + 2 * number);
      const [{ seq }] = drain(sender);
      sender.acknowledged(seq, seq);
      return sender.repeatOverdue(false, 10_000 + 1_000 * number);
    };
    expect([0, 1].map(second)).toEqual([0, 0]);
    sender.ask(FLAG_NACK, 300, 300); // Passed over as well, not for three seconds yet.
    drain(sender);
    expect([2, 3].map(second)).toEqual([0, 11]); // Of 16; five are parked.
    expect(drain(sender).map(({ from }) => from)).toEqual([60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160]);
  });
});
