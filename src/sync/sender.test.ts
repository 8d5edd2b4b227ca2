import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FLAG_ACK, FLAG_ALIVE, FLAG_NACK, FLAG_RESYNC } from "../wire/header.ts";
import { Sender, type SenderLimits } from "./sender.ts";
import { isBefore } from "./serial.ts";
import type { SlotOwner } from "./session.ts";

const LIMITS: SenderLimits = { flowsMax: 40, resendQueue: 16, inFlightMax: 1_000 };

interface Sent {
  readonly seq: number;
  /** A flow's slot, or -1 for a control message. */
  readonly slot: number;
  readonly flags: number;
  readonly from: number;
  readonly to: number;
}

class Owner implements SlotOwner {
  live: readonly number[] = [];
  readonly released: number[] = [];
  nextLive(from: number): number {
    return this.live.find((slot) => slot >= from) ?? -1;
  }
  release(slot: number): void {
    this.released.push(slot);
  }
}

function senderOf(limits: Partial<SenderLimits> = {}, firstSeq = 1_000): { sender: Sender; owner: Owner } {
  const owner = new Owner();
  return { sender: new Sender({ ...LIMITS, ...limits }, firstSeq, owner), owner };
}

const sentControl = (sender: Sender): Sent => {
  const flags = sender.nextControl();
  return { seq: sender.lastSeq, slot: -1, flags, from: sender.from, to: sender.to };
};

const sentFlow = (sender: Sender): Sent | undefined => {
  const slot = sender.nextFlow();
  return slot < 0 ? undefined : { seq: sender.lastSeq, slot, flags: 0, from: 0, to: 0 };
};

/** Sends all that waits, control messages first. */
function drain(sender: Sender): Sent[] {
  const sent: Sent[] = [];
  while (sender.hasControl) sent.push(sentControl(sender));
  for (let flow = sentFlow(sender); flow !== undefined; flow = sentFlow(sender)) sent.push(flow);
  return sent;
}

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
});

/** What a sender is told, and what a far simpler one would then hold. */
class Model {
  readonly sender: Sender;
  readonly owner: Owner;
  /** Numbers that would release something, by what was sent under them. */
  readonly #inFlight = new Map<number, number>();
  readonly #queued = new Set<number>();
  readonly #questions = new Set<number>();
  #questionsQueued = 0;
  #released: number[] = [];

  constructor(firstSeq: number, inFlightMax: number) {
    ({ sender: this.sender, owner: this.owner } = senderOf({ inFlightMax }, firstSeq));
  }

  get end(): number {
    return (this.sender.lastSeq + 1) >>> 0;
  }

  change(slot: number): void {
    this.sender.changed(slot);
    for (const [seq, other] of this.#inFlight) if (other === slot) this.#inFlight.delete(seq);
    this.#queued.add(slot);
  }

  ask(flags: number): void {
    if (this.sender.counters.controlDropped > 0) return;
    this.sender.ask(flags, 1, 2);
    if (this.sender.counters.controlDropped === 0 && flags !== FLAG_ACK) this.#questionsQueued++;
  }

  sendControl(): void {
    if (!this.sender.hasControl) return;
    const { seq, flags } = sentControl(this.sender);
    this.#displace(seq);
    if (flags === FLAG_ACK) return;
    this.#questions.add(seq);
    this.#questionsQueued--;
  }

  sendFlow(): void {
    const sent = sentFlow(this.sender);
    if (sent === undefined) return;
    expect(this.#queued.delete(sent.slot)).toBe(true);
    expect(this.#displace(sent.seq)).toBe(false);
    this.#inFlight.set(sent.seq, sent.slot);
  }

  acknowledge(from: number, to: number): void {
    this.sender.acknowledged(from, to);
    this.#within(from, to, (slot) => this.#released.push(slot));
    for (const seq of this.#questions) if (!isBefore(seq, from) && !isBefore(to, seq)) this.#questions.delete(seq);
  }

  miss(from: number, to: number): void {
    this.sender.missing(from, to);
    this.#within(from, to, (slot) => this.#queued.add(slot));
    for (const seq of this.#questions) {
      if (isBefore(seq, from) || isBefore(to, seq)) continue;
      this.#questions.delete(seq);
      this.#questionsQueued++;
    }
  }

  expectEqual(): void {
    expect(this.owner.released.toSorted()).toEqual(this.#released.toSorted());
    expect(this.sender.data.length).toBe(this.#queued.size);
    if (this.sender.counters.controlDropped > 0) return;
    expect(this.sender.asked).toBe(this.#questions.size + this.#questionsQueued);
  }

  /** A peer that hears and acknowledges everything from now on. */
  settle(): void {
    for (let round = 0; round < 200; round++) {
      this.sendControl();
      this.sendFlow();
      this.acknowledge((this.end - 3) >>> 0, (this.end - 1) >>> 0);
      this.miss((this.end - 20) >>> 0, (this.end - 1) >>> 0);
    }
    this.acknowledge((this.end - 500) >>> 0, (this.end - 1) >>> 0);
    this.expectEqual();
    expect([this.#queued.size, this.#inFlight.size, this.sender.unacknowledged]).toEqual([0, 0, 0]);
    if (this.sender.counters.controlDropped === 0) expect(this.sender.asked).toBe(0);
  }

  #within(from: number, to: number, visit: (slot: number) => void): void {
    for (const [seq, slot] of this.#inFlight) {
      if (isBefore(seq, from) || isBefore(to, seq)) continue;
      this.#inFlight.delete(seq);
      visit(slot);
    }
  }

  /** The flow that was sent a whole ring before `seq` is queued again. True when there was one. */
  #displace(seq: number): boolean {
    const lapped = (seq - LIMITS.resendQueue) >>> 0;
    const slot = this.#inFlight.get(lapped);
    if (slot === undefined) return false;
    this.#inFlight.delete(lapped);
    this.#queued.add(slot);
    return true;
  }
}

test("nothing is lost and nothing is released unheard, whatever is acknowledged and missed, also when the ring is lapped", () => {
  const doing = fc.record({
    kind: fc.constantFrom("change", "flow", "flow", "control", "control", "ack", "miss", "nack", "resync", "say"),
    slot: fc.nat({ max: LIMITS.flowsMax - 1 }),
    back: fc.nat({ max: 40 }),
    length: fc.nat({ max: 6 }),
  });
  const firstSeq = fc.oneof(fc.nat({ max: 0xffffffff }), fc.integer({ min: 0xffffffe0, max: 0xffffffff }));
  fc.assert(
    fc.property(
      firstSeq,
      fc.integer({ min: 1, max: 20 }),
      fc.array(doing, { maxLength: 150 }),
      (first, window, doings) => {
        const model = new Model(first, window);
        for (const { kind, slot, back, length } of doings) {
          const from = (model.end - back) >>> 0;
          const to = (from + length) >>> 0;
          if (kind === "change") model.change(slot);
          else if (kind === "flow") model.sendFlow();
          else if (kind === "control") model.sendControl();
          else if (kind === "ack") model.acknowledge(from, to);
          else if (kind === "miss") model.miss(from, to);
          else model.ask(kind === "nack" ? FLAG_NACK : kind === "resync" ? FLAG_RESYNC : FLAG_ACK);
          model.expectEqual();
        }
        model.settle();
      },
    ),
    { numRuns: 300 },
  );
});
