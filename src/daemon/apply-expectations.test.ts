/** What a live backup tells its kernel of expectations, held to a model of one. */
import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Errno } from "../../ffi/errno.ts";
import { ExpectationKernel } from "../../test/expectation-kernel.ts";
import { makeExpectation } from "../../test/make-expectation.ts";
import { give, makeFlow } from "../../test/make-flow.ts";
import { Node, PEER } from "../../test/replica-node.ts";
import { EXPECT_PERMANENT, type Expectation, expectationKey } from "../flow/expectation.ts";
import {
  type Flow,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
} from "../flow/flow.ts";
import { EVENT_NEW } from "../replica.ts";
import { EXP_DESTROY, EXP_NEW } from "../wire/header.ts";
import { ApplyExpectations } from "./apply-expectations.ts";
import { monotonicMs } from "./clock.ts";
import type { Slice } from "./jobs.ts";

const SESSIONS = 3;

const session = (i: number): Flow => makeFlow({ ports: portsWord(40_000 + i, 21) });

/** What session i expects at this port. */
function expected(i: number, port: number, more: Partial<Expectation> = {}): Expectation {
  const { master } = makeExpectation(port);
  return makeExpectation(port, { master: { ...master, ports: portsWord(40_000 + i, 21) }, ...more });
}

/** The data connection to that port, from another one of the session's host. */
function data(i: number, port: number): Flow {
  const { words } = session(i);
  const flow = give(
    makeFlow({ ports: portsWord(50_000, port) }),
    HAS_MASTER | HAS_MASTER_PORTS,
    MASTER_PROTO,
    words[PROTO],
  );
  flow.words.set(words.subarray(ORIG_SRC, ORIG_SRC + 4), MASTER_SRC);
  flow.words.set(words.subarray(ORIG_DST, ORIG_DST + 4), MASTER_DST);
  flow.words[MASTER_PORTS] = words[ORIG_PORTS];
  return flow;
}

class World {
  readonly node = new Node(1_000, 16, undefined, { live: true });
  readonly kernel = new ExpectationKernel();
  readonly expectations = this.node.replica.expectations;
  readonly live = this.node.replica.live!;
  readonly apply = new ApplyExpectations({ expectations: this.expectations, ...this.kernel.parts() });
  nowMs = monotonicMs();

  constructor() {
    this.live.holding = false;
    this.live.queue.follow(true);
    this.node.replica.role = "backup";
    this.kernel.refuses = (expectation) => (this.expectations.masterOf(expectation) === "stands" ? 0 : Errno.ENOENT);
    this.apply.begin();
  }

  /** The peer's session i, in the kernel too. */
  begins(i: number): void {
    const { external } = this.node.replica;
    external.create(session(i), this.nowMs, PEER);
    this.live.queue.applied(external.toldSlot, 300, this.nowMs);
  }

  tells(...told: readonly Expectation[]): void {
    for (const expectation of told) this.expectations.learn(EXP_NEW, expectation, PEER, this.nowMs);
  }

  ends(...told: readonly Expectation[]): void {
    for (const expectation of told) this.expectations.learn(EXP_DESTROY, expectation, PEER, this.nowMs);
  }

  /** A flow that the peer tells of. */
  hears(flow: Flow): void {
    const { external } = this.node.replica;
    external.create(flow, this.nowMs, PEER);
    this.live.heard(flow, PEER, this.nowMs);
  }

  passes(milliseconds: number, stepMs = 20): void {
    for (const endMs = this.nowMs + milliseconds; this.nowMs < endMs; this.apply.turn(this.nowMs)) this.nowMs += stepMs;
  }
}

function run<T>(generator: Generator<Slice, T, void>): T {
  for (;;) {
    const { done, value } = generator.next();
    if (done) return value;
  }
}

const keysOf = (...expectations: readonly Expectation[]): string[] => expectations.map(expectationKey).toSorted();

let world: World;
beforeEach(() => {
  world = new World();
});

describe("the kernel of a live backup", () => {
  test("has what the peer expects some milliseconds later, as long as the peer does, with the time that is left", () => {
    world.begins(0);
    world.tells(expected(0, 1), expected(0, 2), expected(0, 3), expected(0, 4));
    world.apply.turn(world.nowMs);
    expect(world.kernel.entries.size).toBe(0); // It gathers.
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 2), expected(0, 3), expected(0, 4)));
    world.ends(expected(0, 2));
    world.passes(5_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 3), expected(0, 4)));
    for (const { timeoutSeconds } of world.kernel.entries.values()) expect(timeoutSeconds).toBeWithin(294, 297);
    world.tells(expected(0, 1, { timeoutSeconds: 40 }));
    world.passes(40);
    expect([...world.kernel.entries.values()].map(({ timeoutSeconds }) => timeoutSeconds)).toContain(40);
    expect(world.apply.counters).toMatchObject({
      expectationsApplied: 5,
      expectationsWithdrawn: 1,
      expectationsLost: 0,
    });
  });

  test("gets none whose time is over, and is not asked again then", () => {
    world.begins(0);
    world.tells(expected(0, 1, { timeoutSeconds: 2 }));
    world.passes(40);
    expect(world.apply.standing).toBe(1);
    world.passes(4_000);
    expect([world.apply.standing, world.apply.dueMs]).toEqual([0, Number.POSITIVE_INFINITY]);
    world.kernel.entries.clear();
    expect(run(world.apply.drain())).toEqual({ committed: 0, failed: 0 });
    expect(world.kernel.entries.size).toBe(0);
  });

  test("gets it in the turn in which its master comes, however long that takes", () => {
    world.tells(expected(0, 1));
    world.passes(100);
    const { asked } = world.kernel;
    expect([world.apply.failing, world.apply.counters.expectationsRefused]).toEqual([1, 0]);
    world.passes(10_000);
    expect(world.kernel.asked).toBe(asked);
    world.begins(0);
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1)));
    expect(world.apply.failing).toBe(0);
  });

  test("is told again, and more and more rarely, of what it refuses", () => {
    world.begins(0);
    world.kernel.refuses = () => Errno.EMFILE;
    world.tells(expected(0, 1));
    world.passes(130_000, 500);
    expect(world.apply.counters.expectationsRefused).toBeWithin(7, 9); // After 1, 2, 4, 8, 16, 32 and 32 seconds.
    expect(world.apply.refusals).toMatchObject([{ errno: "EMFILE", reason: expect.stringContaining("expect_max") }]);
    world.kernel.refuses = () => 0;
    world.passes(40_000, 500);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1)));
    expect(world.apply.failing).toBe(0);
  });

  test("gets back within a second what it lost by itself", () => {
    world.begins(0);
    world.tells(expected(0, 2));
    world.passes(40);
    world.kernel.lose(expected(0, 2));
    world.passes(1_100);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
    expect(world.apply.counters.expectationsLost).toBe(1);
  });

  test("is not told again of one that a newer one of its session pushed out, though the peer has not said that it ended", () => {
    world.begins(0);
    world.tells(expected(0, 1));
    world.passes(40);
    world.tells(expected(0, 2));
    world.passes(40);
    world.kernel.lose(expected(0, 1));
    world.passes(5_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
    world.ends(expected(0, 1));
    world.passes(5_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
    expect(world.apply.counters).toMatchObject({ expectationsLost: 0, expectationsWithdrawn: 0 });
  });

  test("is not touched for what a master expects that is this node's own", () => {
    world.node.replica.kernelEvent(EVENT_NEW, session(0), world.nowMs);
    world.tells(expected(0, 1));
    world.passes(5_000);
    expect([world.kernel.asked, world.apply.failing]).toEqual([0, 1]);
  });
});

describe("a tuple that is expected anew before the kernel heard that it was not any more", () => {
  test("of another session is made after the old one was deleted", () => {
    for (const i of [0, 1]) world.begins(i);
    world.tells(expected(0, 1));
    world.passes(40);
    world.ends(expected(0, 1));
    world.tells(expected(1, 1));
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(1, 1)));
  });

  test("in another way, which no request can change, is made anew", () => {
    world.begins(0);
    world.tells(expected(0, 1));
    world.passes(40);
    world.tells(expected(0, 1, { flags: EXPECT_PERMANENT }));
    world.passes(40);
    expect([...world.kernel.entries.values()]).toMatchObject([{ flags: EXPECT_PERMANENT }]);
  });

  test("by this kernel itself stays", () => {
    world.begins(0);
    world.tells(expected(0, 1));
    world.passes(40);
    world.node.replica.kernelEvent(EVENT_NEW, session(1), world.nowMs);
    world.expectations.kernelEvent(true, expected(1, 1), world.nowMs);
    world.ends(expected(0, 1));
    world.passes(40);
    expect(world.kernel.entries.size).toBe(1);
  });
});

describe("an expected connection that comes", () => {
  beforeEach(() => {
    world.begins(0);
    world.tells(expected(0, 1), expected(0, 2));
    world.passes(40);
  });

  test("as the peer's flow takes it from the kernel, before the peer says that it ended", () => {
    world.hears(data(0, 1));
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
    expect(world.expectations.external.count).toBe(2);
    world.ends(expected(0, 1));
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
  });

  test("through this very kernel is not expected there again", () => {
    world.kernel.lose(expected(0, 1));
    world.node.replica.kernelEvent(EVENT_NEW, data(0, 1), world.nowMs);
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 2)));
    expect(run(world.apply.drain())).toEqual({ committed: 0, failed: 0 });
  });

  test("of another session, of another port or of none takes nothing", () => {
    for (const flow of [data(1, 1), data(0, 3), session(2)]) world.hears(flow);
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 2)));
  });

  test("and is told of again later, as it changes, takes no newer expectation of its tuple", () => {
    world.hears(data(0, 1));
    world.live.queue.applied(world.node.replica.external.toldSlot, 300, world.nowMs);
    world.ends(expected(0, 1));
    world.tells(expected(0, 1));
    world.node.replica.external.update(data(0, 1), world.nowMs, PEER);
    world.live.heard(data(0, 1), PEER, world.nowMs);
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 2)));
  });

  test("stays expected if it may come more than once", () => {
    world.tells(expected(0, 4, { flags: EXPECT_PERMANENT }));
    world.hears(data(0, 4));
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 2), expected(0, 4)));
  });
});

describe("when roles change", () => {
  test("a takeover tells the kernel of what waits, of those too that it refused, and nothing twice", () => {
    world.begins(0);
    world.tells(expected(0, 1));
    world.passes(40);
    world.tells(expected(0, 2), expected(1, 3), expected(2, 4));
    world.passes(40);
    world.begins(1);
    world.tells(expected(1, 5));
    const { asked } = world.kernel;
    expect(run(world.apply.drain())).toEqual({ committed: 2, failed: 0 }); // Session 2 is nowhere: no failure.
    expect(world.kernel.asked - asked).toBe(3);
    expect(world.kernel.keys).toEqual(
      keysOf(...[1, 2].map((port) => expected(0, port)), expected(1, 3), expected(1, 5)),
    );
  });

  test("from then on the peer's word changes nothing, until this node is backup again", () => {
    world.begins(0);
    world.tells(expected(0, 1), expected(0, 2));
    world.passes(40);
    world.apply.end();
    world.ends(expected(0, 1));
    world.tells(expected(0, 3));
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 2)));
    expect(world.apply.dueMs).toBe(Number.POSITIVE_INFINITY);
    world.apply.begin();
    world.ends(expected(0, 2)); // It was here when this node began to follow.
    world.passes(40);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1), expected(0, 3)));
  });

  test("an emptied cache leaves in the kernel what is there, and an end gives it a minute", () => {
    world.begins(0);
    world.tells(expected(0, 1));
    world.passes(40);
    world.node.replica.flushExternal();
    world.passes(3_000);
    expect(world.kernel.keys).toEqual(keysOf(expected(0, 1)));
    world.tells(expected(0, 2), expected(0, 3, { timeoutSeconds: 30 }));
    world.begins(0);
    world.passes(40);
    world.apply.leave(60);
    const left = [...world.kernel.entries.values()].map(({ timeoutSeconds }) => timeoutSeconds);
    expect(left[0]).toBeWithin(290, 301);
    expect(left.slice(1)).toEqual([60, 30]);
  });
});

/** What the session of this one expects: with its master, or by somebody's hand. */
function loseSession(kernel: ExpectationKernel, { master }: Expectation): void {
  for (const entry of [...kernel.entries.values()]) if (entry.master.ports === master.ports) kernel.lose(entry);
}

const step = fc.record({ what: fc.nat(11), i: fc.nat(SESSIONS - 1), port: fc.integer({ min: 1, max: 4 }) });

test("whatever is told, ended, refused or lost, the kernel has what the peer expects and whose master stands", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      world = new World();
      const { node, kernel, apply, expectations, live } = world;
      const { external } = node.replica;
      let isFull = false;
      kernel.refuses = (expectation) =>
        expectations.masterOf(expectation) !== "stands" ? Errno.ENOENT : isFull ? Errno.EMFILE : 0;
      for (const { what, i, port } of steps) {
        const told = expected(i, i * 10 + port); // The kernel tells none apart that share a tuple.
        if (what < 3) world.tells(told);
        else if (what < 4) world.tells({ ...told, flags: port % 2 === 0 ? EXPECT_PERMANENT : 0 });
        else if (what < 6) world.ends(told);
        else if (what === 6) world.begins(i);
        else if (what === 7 && external.destroy(session(i))) loseSession(kernel, told);
        else if (what === 8) loseSession(kernel, told);
        else if (what === 9) isFull = !isFull;
        else world.passes(what === 10 ? 40 : 1_500);
      }
      isFull = false;
      world.passes(70_000, 500);
      const wanted: Expectation[] = [];
      const cache = expectations.external;
      for (let slot = cache.nextLive(0); slot >= 0; slot = cache.nextLive(slot + 1))
        if (expectations.masterOf(cache.at(slot)) === "stands") wanted.push(cache.at(slot));
      const text = (all: Iterable<Expectation>) =>
        Array.from(all, (one) => `${expectationKey(one)} ${one.flags}`).toSorted();
      expect(text(kernel.entries.values())).toEqual(text(wanted));
      expect([apply.standing, apply.failing]).toEqual([wanted.length, cache.count - wanted.length]);
      expect(live.queue.active).toBeTrue();
    }),
    { numRuns: 300 },
  );
});
