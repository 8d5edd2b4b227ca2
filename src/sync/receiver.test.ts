import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FLAG_ACK, FLAG_NACK } from "../wire/header.ts";
import { ACK_DELAY_MS, Receiver } from "./receiver.ts";
import { next } from "./serial.ts";

/** A receiver and what it queues, as "ACK 3-5" and "NACK 7-9". */
class Heard {
  readonly receiver: Receiver;
  nowMs = 0;
  #queued: string[] = [];

  constructor(ackWindow: number) {
    this.receiver = new Receiver(ackWindow, (flags, from, to) => {
      const name = flags === FLAG_ACK ? "ACK" : flags === FLAG_NACK ? "NACK" : `flags ${flags}`;
      this.#queued.push(`${name} ${from}-${to}`);
    });
  }

  get queued(): string[] {
    return this.#queued.splice(0);
  }

  hear(...seqs: readonly number[]): string[] {
    return seqs.map((seq) => this.#judge(seq, this.receiver.arrival(seq, this.nowMs), false));
  }

  hold(seq: number): string {
    return this.#judge(seq, this.receiver.arrival(seq, this.nowMs), true);
  }

  greet(...seqs: readonly number[]): string[] {
    return seqs.map((seq) => this.#judge(seq, this.receiver.greeting(seq, this.nowMs), false));
  }

  #judge(seq: number, arrival: ReturnType<Receiver["arrival"]>, hold: boolean): string {
    if (arrival !== "late") this.receiver.accept(seq, arrival, hold, this.nowMs);
    return arrival;
  }
}

describe("numbers in order", () => {
  test("the first number heard is in order whatever it is, then each that follows, also over the end of 32 bits", () => {
    const heard = new Heard(300);
    expect(heard.hear(0xfffffffe, 0xffffffff, 0, 1)).toEqual(Array(4).fill("in-order"));
    expect(heard.queued).toEqual([]);
    heard.receiver.acknowledge();
    expect(heard.queued).toEqual(["ACK 4294967294-1"]);
  });

  test("a full window is acknowledged at once, and the next window counts afresh", () => {
    const heard = new Heard(3);
    heard.hear(10, 11);
    expect(heard.queued).toEqual([]);
    heard.hear(12);
    expect(heard.queued).toEqual(["ACK 10-12"]);
    heard.hear(13, 14, 15, 16);
    expect(heard.queued).toEqual(["ACK 13-15"]);
  });

  test("with a window of one every message is acknowledged by itself, one behind a gap too", () => {
    const heard = new Heard(1);
    heard.hear(10, 11);
    expect(heard.queued).toEqual(["ACK 10-10", "ACK 11-11"]);
    heard.hear(14);
    expect(heard.queued).toEqual(["NACK 12-13", "ACK 14-14"]);
    heard.hear(15);
    expect(heard.queued).toEqual(["ACK 15-15"]);
  });

  test("what a window leaves over is acknowledged by the clock, which does not fill the window up again", () => {
    const heard = new Heard(3);
    heard.hear(10, 11);
    expect(heard.receiver.ackDueMs).toBe(ACK_DELAY_MS);
    expect([heard.receiver.acknowledge(), heard.receiver.acknowledge()]).toEqual([true, false]);
    expect(heard.queued).toEqual(["ACK 10-11"]);
    expect(heard.receiver.ackDueMs).toBe(Number.POSITIVE_INFINITY);
    heard.hear(12);
    expect(heard.queued).toEqual(["ACK 12-12"]);
  });

  test("the clock runs from the first message that is not acknowledged", () => {
    const heard = new Heard(300);
    heard.nowMs = 500;
    heard.hear(1);
    heard.nowMs = 900;
    heard.hear(2);
    expect(heard.receiver.ackDueMs).toBe(500 + ACK_DELAY_MS);
  });
});

describe("a gap", () => {
  test("acknowledges what came before, names what is missing, and counts it", () => {
    const heard = new Heard(300);
    expect(heard.hear(10, 11, 15)).toEqual(["in-order", "in-order", "gap"]);
    expect(heard.queued).toEqual(["ACK 10-11", "NACK 12-14"]);
    expect(heard.receiver.counters.lost).toBe(3);
    heard.receiver.acknowledge();
    expect(heard.queued).toEqual(["ACK 15-15"]);
  });

  test("right behind an acknowledgement has nothing to acknowledge", () => {
    const heard = new Heard(2);
    heard.hear(10, 11, 13);
    expect(heard.queued).toEqual(["ACK 10-11", "NACK 12-12"]);
  });

  test("begins a new window that counts the message behind it", () => {
    const heard = new Heard(3);
    heard.hear(10, 20, 21);
    expect(heard.queued).toEqual(["ACK 10-10", "NACK 11-19"]);
    heard.hear(22);
    expect(heard.queued).toEqual(["ACK 20-22"]);
  });

  test("across the end of 32 bits is one range", () => {
    const heard = new Heard(300);
    heard.hear(0xfffffffd, 2);
    expect(heard.queued).toEqual(["ACK 4294967293-4294967293", "NACK 4294967294-1"]);
    expect(heard.receiver.counters.lost).toBe(4);
  });
});

describe("a late message", () => {
  test("is one with a number that was passed: a duplicate, or an original that returns under a new number", () => {
    const heard = new Heard(300);
    expect(heard.hear(10, 10, 12, 11, 9, 13)).toEqual(["in-order", "late", "gap", "late", "late", "in-order"]);
    heard.receiver.acknowledge();
    expect(heard.queued).toEqual(["ACK 10-10", "NACK 11-11", "ACK 12-13"]);
  });

  test("beyond conntrackd: when for five seconds five and more were late and none was not, it is us who are astray", () => {
    const heard = new Heard(300);
    heard.hear(10, 1_000_000); // A forged number.
    expect(heard.hear(11, 12, 13, 14, 15, 16)).toEqual(Array(6).fill("late"));
    heard.nowMs = 4_999;
    expect(heard.hear(17)).toEqual(["late"]);
    heard.nowMs = 5_000;
    expect(heard.hear(18, 19, 20)).toEqual(["astray", "in-order", "in-order"]);
    expect(heard.receiver.counters.astray).toBe(1);
    expect(heard.queued).toEqual(["ACK 10-10", "NACK 11-999999"]);
    heard.receiver.acknowledge();
    expect(heard.queued).toEqual(["ACK 18-20"]);
  });

  test("a few duplicates in a quiet time do not lead astray", () => {
    const heard = new Heard(300);
    heard.hear(10);
    heard.nowMs = 60_000;
    expect(heard.hear(9, 8, 7, 6)).toEqual(Array(4).fill("late"));
    expect(heard.hear(11)).toEqual(["in-order"]);
    heard.nowMs = 120_000;
    expect(heard.hear(10)).toEqual(["late"]);
    expect(heard.receiver.counters.astray).toBe(0);
  });
});

describe("an answer that takes its time", () => {
  test("leaves its question out of the acknowledgements, which go on before and behind it", () => {
    const heard = new Heard(300);
    heard.hear(10, 11);
    expect(heard.hold(12)).toBe("in-order");
    expect(heard.queued).toEqual(["ACK 10-11"]);
    expect(heard.receiver.acknowledge()).toBe(false);
    heard.hear(13, 14);
    heard.receiver.acknowledge();
    expect(heard.queued).toEqual(["ACK 13-14"]);
  });

  test("also behind a gap, at the end of a window, and twice in a row", () => {
    const heard = new Heard(2);
    heard.hear(10);
    heard.hold(11);
    heard.hold(12);
    heard.hold(20);
    expect(heard.queued).toEqual(["ACK 10-10", "NACK 13-19"]);
    heard.hear(21, 22);
    expect(heard.queued).toEqual(["ACK 21-22"]);
  });
});

describe("a greeting", () => {
  test("is in order whatever its number: behind, ahead, with no gap named", () => {
    const heard = new Heard(300);
    heard.hear(1_000);
    expect(heard.greet(5_000_000)).toEqual(["in-order"]);
    expect(heard.hear(5_000_001)).toEqual(["in-order"]);
    expect(heard.greet(77)).toEqual(["in-order"]);
    expect(heard.hear(78, 80)).toEqual(["in-order", "gap"]);
  });

  test("with a number before what is to be acknowledged begins the acknowledgement and its window anew", () => {
    const heard = new Heard(3);
    heard.hear(1_000, 1_001);
    heard.greet(50);
    expect(heard.queued).toEqual([]);
    heard.hear(51);
    expect(heard.queued).toEqual(["ACK 50-51"]);
  });

  test("beyond conntrackd: one of this life that comes late or twice is dropped", () => {
    const heard = new Heard(300);
    expect(heard.greet(100, 101, 101, 100)).toEqual(["in-order", "in-order", "late", "late"]);
    expect(heard.hear(102, 103)).toEqual(["in-order", "in-order"]);
    expect(heard.greet(100, 101)).toEqual(["late", "late"]);
    expect(heard.hear(104)).toEqual(["in-order"]);
  });

  test("beyond conntrackd: one that was overtaken by the first other message of its life is late, too", () => {
    const heard = new Heard(300);
    expect(heard.greet(100)).toEqual(["in-order"]);
    expect(heard.hear(102)).toEqual(["gap"]);
    expect(heard.greet(101)).toEqual(["late"]);
  });

  test("of the next life is accepted, though that life began with a number close behind", () => {
    const heard = new Heard(300);
    heard.greet(100);
    heard.hear(101, 102, 103);
    expect(heard.greet(104)).toEqual(["in-order"]);
    expect(heard.greet(50)).toEqual(["in-order"]);
    expect(heard.hear(51)).toEqual(["in-order"]);
  });
});

describe("beyond conntrackd: a message whose content nobody can read", () => {
  test("uses up its number if that was due, and changes nothing otherwise", () => {
    const heard = new Heard(300);
    heard.receiver.unreadable(5, 0); // Nothing was heard before: the first good message is the first.
    expect(heard.hear(10)).toEqual(["in-order"]);
    heard.receiver.unreadable(11, 0);
    expect(heard.hear(12)).toEqual(["in-order"]);
    heard.receiver.unreadable(4_000, 0);
    heard.receiver.unreadable(3, 0);
    expect(heard.hear(13)).toEqual(["in-order"]);
    expect(heard.queued).toEqual([]);
  });
});

test("what is acknowledged was accepted, what is missing was not; all that a peer sent is one or the other", () => {
  const lengths = fc.array(
    fc.record({ skip: fc.oneof(fc.constant(0), fc.nat({ max: 4 })), run: fc.integer({ min: 1, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.nat({ max: 0xffffffff }), fc.integer({ min: 1, max: 6 }), lengths, (first, ackWindow, runs) => {
      const acked: number[] = [];
      const missed: number[] = [];
      const receiver = new Receiver(ackWindow, (flags, from, to) => {
        for (let seq = from; seq !== next(to); seq = next(seq)) (flags === FLAG_ACK ? acked : missed).push(seq);
      });
      const accepted: number[] = [];
      const skipped: number[] = [];
      let seq = first;
      for (const { skip, run } of runs) {
        for (let i = 0; i < skip; i++, seq = next(seq)) if (accepted.length > 0) skipped.push(seq);
        for (let i = 0; i < run; i++, seq = next(seq)) {
          receiver.accept(seq, receiver.arrival(seq, 0) as "in-order" | "gap", false, 0);
          accepted.push(seq);
        }
      }
      receiver.acknowledge();
      expect(acked).toEqual(accepted);
      expect(missed).toEqual(skipped);
    }),
  );
});
