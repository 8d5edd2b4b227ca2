/** A comparison of the kernel's expectations with the internal cache, while events go on changing both. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ExpectationStory, PORTS } from "../../../test/expectation-story.ts";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { makeFlow } from "../../../test/make-flow.ts";
import { extendedPair, talk } from "../../../test/replica-node.ts";
import type { Expectation } from "../../flow/expectation.ts";
import { portsWord } from "../../flow/flow.ts";
import { EVENT_NEW } from "../../replica.ts";
import { monotonicMs } from "../clock.ts";
import { compareExpectations } from "./compare-expectations.ts";
import { resyncExpectations } from "./expectations.ts";
import type { ExpectationFindings } from "./findings.ts";

/** Finds out, and mends what it found as the audit does. */
class Story extends ExpectationStory implements ExpectationFindings {
  readonly found: string[] = [];
  mends = true;

  constructor() {
    super();
    this.node.nowMs = monotonicMs();
  }

  compares(): void {
    let wanted: number | undefined;
    const readMs = (): number => {
      wanted ??= this.raised;
      return this.heard >= wanted ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    };
    this.job(compareExpectations(this.node.replica.expectations, this, readMs, this.startDump));
  }

  rereads(): void {
    this.job(resyncExpectations(this.node.replica.expectations, this.startDump));
  }

  missingExpectation(kernel: Expectation, nowMs: number): void {
    this.found.push(`missing ${kernel.expected.ports}`);
    if (this.mends) this.node.replica.expectations.kernelEntry(kernel, nowMs);
  }

  changedExpectation(kernel: Expectation, slot: number, nowMs: number): void {
    const { expectations } = this.node.replica;
    expect(expectations.internal.find(kernel)).toBe(slot);
    this.found.push(`changed ${kernel.expected.ports}`);
    if (this.mends) expectations.kernelEntry(kernel, nowMs);
  }

  deadExpectation(slot: number, ranOut: boolean, nowMs: number): void {
    const { expectations } = this.node.replica;
    this.found.push(`${ranOut ? "ran out" : "dead"} ${expectations.internal.read(slot, nowMs).expected.ports}`);
    if (this.mends) expectations.ended(slot);
  }

  expectationTimer(kernel: Expectation, nowMs: number): void {
    if (this.node.replica.expectations.moveTimer(kernel, nowMs)) this.found.push(`timer ${kernel.expected.ports}`);
  }

  /** The whole of a comparison, without anything in between. */
  compared(): string[] {
    this.compares();
    this.reads(Number.POSITIVE_INFINITY);
    return this.found.splice(0).toSorted();
  }
}

describe("a comparison finds", () => {
  test("what the kernel has in silence, what it changed, and what it has no more", () => {
    const story = new Story();
    for (const port of [1, 2, 3]) story.begins(port);
    story.hears(3);
    story.silently(() => {
      story.ends(1);
      story.begins(5);
      story.ends(2);
      story.begins(2);
    });
    story.mends = false;
    const wanted = ["changed 2", "dead 1", "missing 5"];
    expect(story.compared()).toEqual(wanted);
    expect(story.compared()).toEqual(wanted);
    story.mends = true;
    expect(story.compared()).toEqual(wanted);
    expect(story.held).toEqual(story.wanted);
    expect(story.compared()).toEqual([]);
  });

  test("nothing amiss in one that the kernel let run out in silence; its time being over, it leaves the cache", () => {
    const story = new Story();
    const { expectations } = story.node.replica;
    expectations.kernelEvent(true, makeExpectation(1, { timeoutSeconds: 1 }), story.node.nowMs);
    expectations.kernelEvent(true, makeExpectation(2, { timeoutSeconds: 1 }), story.node.nowMs);
    story.kernel[2] = 0;
    story.kernel[3] = 0;
    expect(story.compared()).toEqual(["ran out 1", "ran out 2"]);
    expect(expectations.internal.count).toBe(0);
  });

  test("a timer that the kernel started again in silence, and extended peers alone are told", () => {
    const story = new Story();
    const { expectations, sessions } = story.node.replica;
    expectations.kernelEvent(true, makeExpectation(1, { class: 9, timeoutSeconds: 10 }), story.node.nowMs);
    story.kernel[1] = 9;
    const { queued } = sessions[0]!;
    expect(story.compared()).toEqual(["timer 1"]);
    expect(expectations.internal.read(0, monotonicMs()).timeoutSeconds).toBeGreaterThan(290);
    expect(sessions[0]!.queued).toBe(queued);
    expect(story.compared()).toEqual([]);
  });

  test("nothing in one that has become a peer's and is still in the cache, which withdraws it", () => {
    const [a, b] = extendedPair();
    const master = makeFlow({ ports: portsWord(40_000, 21) });
    b.event(EVENT_NEW, master);
    talk(a, b);
    const { expectations } = a.replica;
    expectations.kernelEvent(true, makeExpectation(1), a.nowMs);
    expect(expectations.isPeers(makeExpectation(1))).toBe(true);
    const story = new Story();
    story.kernel[1] = 1;
    const job = compareExpectations(expectations, story, () => Number.POSITIVE_INFINITY, story.startDump);
    story.job(job);
    story.reads(Number.POSITIVE_INFINITY);
    expect(story.found).toEqual([]);
    for (let i = 0; i < 12; i++) talk(a, b, 1_000);
    expect(expectations.internal.count).toBe(0);
  });

  test("nothing while another reread has taken over", () => {
    const story = new Story();
    story.begins(1);
    story.hears(1);
    story.silently(() => story.ends(1));
    story.compares();
    story.reads(5);
    story.rereads();
    story.reads(1, true);
    story.reads(Number.POSITIVE_INFINITY);
    expect(story.found).toEqual([]);
    expect(story.held).toEqual(story.wanted);
  });
});

const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("begins" as const, "ends" as const), fc.constantFrom(...PORTS)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("hears" as const), fc.integer({ min: 1, max: 3 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("reads" as const), fc.integer({ min: 1, max: 4 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("compares" as const)) },
);

test("nothing is found while events tell everything, however events and portions mix", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const story = new Story();
      for (const [what, ...how] of steps) (story[what] as (...how: unknown[]) => void)(...how);
      story.hears(Number.POSITIVE_INFINITY);
      story.reads(Number.POSITIVE_INFINITY);
      expect(story.found).toEqual([]);
      expect(story.held).toEqual(story.wanted);
    }),
    { numRuns: 2_000 },
  );
});

test("what is found is true: whatever happens in silence, one comparison later the cache is the kernel", () => {
  const silent = fc.tuple(fc.constantFrom("begins" as const, "ends" as const), fc.constantFrom(...PORTS), fc.boolean());
  const other = step.filter(([what]) => what !== "begins" && what !== "ends");
  const steps = fc.array(fc.oneof(silent, other), { maxLength: 60, size: "max" });
  fc.assert(
    fc.property(steps, (told) => {
      const story = new Story();
      for (const [what, ...how] of told) {
        const happens = (): void => (story[what] as (...how: unknown[]) => void)(...how);
        if (how[1] === true) story.silently(happens);
        else happens();
      }
      story.hears(Number.POSITIVE_INFINITY);
      story.reads(Number.POSITIVE_INFINITY);
      story.compared();
      expect(story.held).toEqual(story.wanted);
    }),
    { numRuns: 1_000 },
  );
});
