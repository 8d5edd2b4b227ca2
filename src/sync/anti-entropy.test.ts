/** The telling and the hearing side of anti-entropy, with nothing between them but the messages. */
import { beforeEach, describe, expect, test } from "bun:test";
import { makeFlow } from "../../test/make-flow.ts";
import { Digest } from "../cache/digest.ts";
import { AT_UNSETTLED, EXT_LIST, EXT_SUMS, EXT_WANT, ExtensionMessage } from "../wire/extension.ts";
import { Checker, isForChecker } from "./checker.ts";
import { Prover } from "./prover.ts";
import type { ExtensionPort } from "./session.ts";

const FLOWS_MAX = 4_096;
const words = (i: number, mark = 0) => makeFlow({ source: [0x0a000000 + i], mark }).words;

interface Link {
  own: number;
  peer: number;
  unsettledFrom: number;
  unbrokenFrom: number;
  bulkRunning: boolean;
  peerIsFull: boolean;
}

const portOf = (link: Link): ExtensionPort => ({
  outgoing: new ExtensionMessage(),
  attach: () => {},
  receive: () => "deliver",
  acquainted: true,
  isSettled: () => true,
  get unsettledFrom() {
    return link.unsettledFrom;
  },
  get unbrokenFrom() {
    return link.unbrokenFrom;
  },
  get bulkRunning() {
    return link.bulkRunning;
  },
  get ownEpoch() {
    return { high: 0, low: link.own };
  },
  get peerEpochLow() {
    return link.peer;
  },
  get peerIsFull() {
    return link.peerIsFull;
  },
});

class Bench {
  readonly teller: Link = {
    own: 1,
    peer: 2,
    unsettledFrom: 10,
    unbrokenFrom: 0,
    bulkRunning: false,
    peerIsFull: false,
  };
  readonly hearer: Link = {
    own: 2,
    peer: 1,
    unsettledFrom: 0,
    unbrokenFrom: 10,
    bulkRunning: false,
    peerIsFull: false,
  };
  readonly told = new Digest(FLOWS_MAX);
  readonly heard = new Digest(FLOWS_MAX);
  readonly resent: number[] = [];
  readonly withdrawn: number[] = [];
  /** Flows that the hearer has of a former life of the teller. */
  left = 0;
  /** How often everything was asked for. */
  requests = 0;
  readonly prover = new Prover(this.told, portOf(this.teller), (slot) => this.resent.push(slot), 60_000);
  readonly checker = new Checker(
    this.heard,
    () => this.heard.count + this.left,
    portOf(this.hearer),
    (slot) => {
      this.withdrawn.push(slot);
      this.heard.forget(slot);
    },
    () => this.requests++,
    { compared: 0, differed: 0, wanted: 0, withdrawn: 0 },
  );
  nowMs = 0;
  seq = 10;

  constructor(flows: number) {
    for (let i = 0; i < flows; i++) {
      this.told.set(i, words(i));
      this.heard.set(FLOWS_MAX - 1 - i, words(i)); // Other slots than the teller's.
    }
  }

  slotOf(i: number): number {
    return FLOWS_MAX - 1 - i;
  }

  /** One round: all that follows from one comparison. Subtypes of the messages said, unless `loses` says that one is lost. */
  round(loses: (message: ExtensionMessage) => boolean = () => false): number[] {
    this.nowMs += 10_000;
    const said: number[] = [];
    const message = new ExtensionMessage();
    for (let more = true; more; ) {
      more = false;
      while (this.prover.next(message, this.seq++, this.nowMs)) {
        more = true;
        said.push(message.subtype);
        expect(isForChecker(message)).toBe(true);
        if (!loses(message)) this.checker.hear(message, this.seq - 1, this.nowMs);
      }
      while (this.checker.next(message)) {
        more = true;
        said.push(message.subtype);
        if (!loses(message)) this.prover.hear(message);
      }
    }
    return said;
  }
}

describe("anti-entropy", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench(1_000);
  });

  test("equal caches are proven equal by two messages", () => {
    expect(bench.prover.proof).toEqual({
      supported: true,
      equalMs: Number.NEGATIVE_INFINITY,
      flows: 0,
      expectations: 0,
      differing: 0,
      leftovers: 0,
    });
    expect(bench.round()).toHaveLength(2);
    expect(bench.prover.proof).toEqual({
      supported: true,
      equalMs: bench.nowMs,
      flows: 1_000,
      expectations: 0,
      differing: 0,
      leftovers: 0,
    });
  });

  test("the proof names what the hearer holds of a former life beside it", () => {
    bench.left = 3;
    bench.round();
    expect(bench.prover.proof).toMatchObject({ flows: 1_000, differing: 0, leftovers: 3 });
    expect(bench.checker.proof.leftovers).toBe(3);
    bench.left = 0;
    bench.round();
    expect(bench.prover.proof.leftovers).toBe(0);
  });

  test("a flow that is missing is sent again, and it alone", () => {
    bench.heard.forget(bench.slotOf(5));
    bench.round();
    expect(bench.resent).toEqual([5]);
    expect(bench.prover.proof.differing).toBe(1);
    expect(bench.prover.proof.equalMs).toBe(Number.NEGATIVE_INFINITY);
  });

  test("a flow that differs is sent again, and it alone", () => {
    bench.heard.set(bench.slotOf(6), words(6, 99));
    bench.round();
    expect(bench.resent).toEqual([6]);
    expect(bench.withdrawn).toEqual([]);
  });

  test("a flow that was never told is withdrawn when lists of two rounds did not name it", () => {
    bench.heard.set(2_000, words(77_777));
    bench.round();
    expect(bench.withdrawn).toEqual([]);
    bench.round();
    expect(bench.withdrawn).toEqual([2_000]);
    bench.round();
    expect(bench.prover.proof.differing).toBe(0);
  });

  test("a flow that is named between two rounds is no surplus", () => {
    bench.heard.set(2_000, words(77_777));
    bench.round();
    bench.told.set(3_000, words(77_777));
    bench.heard.forget(bench.slotOf(9)); // So that there is another round of lists.
    bench.round();
    expect(bench.withdrawn).toEqual([]);
  });

  test("many differences of all kinds are gone after some rounds", () => {
    for (let i = 0; i < 300; i += 3) {
      bench.heard.forget(bench.slotOf(i));
      bench.heard.set(bench.slotOf(i + 1), words(i + 1, 5));
      bench.heard.set(1_000 + i, words(50_000 + i));
    }
    for (let round = 0; round < 60 && bench.prover.proof.equalMs < 0; round++) {
      bench.round();
      for (const slot of bench.resent.splice(0)) bench.heard.set(bench.slotOf(slot), words(slot));
    }
    expect(bench.prover.proof).toMatchObject({ differing: 0, flows: 1_000 });
    expect(bench.withdrawn).toHaveLength(100);
    expect(bench.heard.count).toBe(1_000);
  });

  test("nothing is compared while something that the sums speak of has not come", () => {
    bench.heard.forget(bench.slotOf(5));
    bench.hearer.unbrokenFrom = 11;
    expect(bench.round()).toEqual([EXT_SUMS]);
    bench.teller.unsettledFrom = 11;
    bench.round();
    expect(bench.resent).toEqual([5]);
  });

  test("a list that speaks of what has not come withdraws nothing", () => {
    bench.heard.set(2_000, words(77_777));
    const spoil = (message: ExtensionMessage): boolean => {
      if (message.subtype === EXT_LIST) message.words[AT_UNSETTLED] = 9;
      return false;
    };
    for (let i = 0; i < 4; i++) bench.round(spoil);
    expect(bench.withdrawn).toEqual([]);
  });

  test("what another life said, or what is said to another life, is not heard", () => {
    bench.heard.forget(bench.slotOf(5));
    bench.hearer.peer = 7;
    expect(bench.round()).toEqual([EXT_SUMS]);
    bench.hearer.peer = 1;
    bench.teller.peer = 7;
    expect(bench.round()).toEqual([EXT_SUMS]);
  });

  test("a bulk is not disturbed", () => {
    bench.teller.bulkRunning = true;
    expect(bench.round()).toEqual([]);
  });

  test("after the internal cache was emptied in silence the peer keeps what it has, for a while", () => {
    bench.prover.flushed();
    for (let i = 0; i < 5; i++) expect(bench.round()).toEqual([]);
    bench.nowMs += 60_000;
    expect(bench.round()).toContain(EXT_SUMS);
  });

  test("a message that is lost costs a round", () => {
    bench.heard.forget(bench.slotOf(5));
    bench.round((message) => message.subtype === EXT_WANT);
    expect(bench.resent).toEqual([]);
    bench.round();
    expect(bench.resent).toEqual([5]);
  });

  test("where most flows are missing everything is asked for, once in a while", () => {
    bench = new Bench(FLOWS_MAX);
    for (let i = 0; i < FLOWS_MAX; i++) if (i % 4 !== 0) bench.heard.forget(bench.slotOf(i));
    bench.round();
    expect(bench.requests).toBe(1);
    bench.round();
    expect(bench.requests).toBe(1);
  });

  test("differences that nothing changes make the rounds rare", () => {
    bench.heard.forget(bench.slotOf(5)); // And never comes back: the receiver is full.
    const message = new ExtensionMessage();
    let rounds = 0;
    for (let nowMs = 0; nowMs < 60_000; nowMs += 50) {
      while (bench.prover.next(message, bench.seq++, nowMs)) {
        if (message.subtype === EXT_SUMS && message.a === 0) rounds++;
        bench.checker.hear(message, bench.seq - 1, nowMs);
      }
      while (bench.checker.next(message)) bench.prover.hear(message);
    }
    expect(rounds).toBeGreaterThan(8);
    expect(rounds).toBeLessThan(20);
  });
});
