import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Owner, senderOf, sentControl, sentFlow } from "../../test/sender.ts";
import { FLAG_ACK, FLAG_NACK, FLAG_RESYNC } from "../wire/header.ts";
import type { Sender } from "./sender.ts";
import { isBefore } from "./serial.ts";

const RING_MESSAGES = 16;
const FLOWS_MAX = 40;

/** What a sender is told, and what a far simpler one would then hold. */
class Model {
  readonly sender: Sender;
  readonly owner: Owner;
  /** Numbers that would release something, by what was sent under them. */
  readonly #inFlight = new Map<number, number>();
  readonly #queued = new Set<number>();
  /** What was found, and did not change since. */
  readonly #postponed = new Set<number>();
  readonly #questions = new Set<number>();
  #questionsQueued = 0;
  #released: number[] = [];

  constructor(firstSeq: number, inFlightMax: number) {
    ({ sender: this.sender, owner: this.owner } = senderOf({ resendQueue: RING_MESSAGES, inFlightMax }, firstSeq));
  }

  get end(): number {
    return (this.sender.lastSeq + 1) >>> 0;
  }

  change(slot: number): void {
    this.sender.changed(slot);
    for (const [seq, other] of this.#inFlight) if (other === slot) this.#inFlight.delete(seq);
    this.#queued.add(slot);
    this.#postponed.delete(slot);
  }

  find(slot: number): void {
    const isUnderWay = this.#queued.has(slot) || [...this.#inFlight.values()].includes(slot);
    if (isUnderWay) this.change(slot);
    else this.#postponed.add(slot);
    if (!isUnderWay) this.sender.found(slot);
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
    // What changed goes before what was found, and that in its order.
    const [oldest] = this.#queued.size > 0 ? [sent.slot] : this.#postponed;
    expect(sent.slot).toBe(oldest!);
    expect(this.#queued.delete(sent.slot) || this.#postponed.delete(sent.slot)).toBe(true);
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
    expect(this.sender.waiting).toBe(this.#queued.size + this.#postponed.size);
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
    expect([this.#queued.size + this.#postponed.size, this.#inFlight.size, this.sender.unacknowledged]).toEqual([
      0, 0, 0,
    ]);
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
    const lapped = (seq - RING_MESSAGES) >>> 0;
    const slot = this.#inFlight.get(lapped);
    if (slot === undefined) return false;
    this.#inFlight.delete(lapped);
    this.#queued.add(slot);
    return true;
  }
}

test("nothing is lost and nothing is released unheard, whatever is acknowledged and missed, also when the ring is lapped", () => {
  const doing = fc.record({
    kind: fc.constantFrom(
      "change",
      "find",
      "flow",
      "flow",
      "control",
      "control",
      "ack",
      "miss",
      "nack",
      "resync",
      "say",
    ),
    slot: fc.nat({ max: FLOWS_MAX - 1 }),
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
          else if (kind === "find") model.find(slot);
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
