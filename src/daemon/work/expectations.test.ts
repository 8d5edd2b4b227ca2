/** A reread of the kernel's expectations, while events go on changing them: portions and events in every order. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ExpectationStory, PORTS } from "../../../test/expectation-story.ts";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { ExternalExpectations } from "../../cache/external-expectations.ts";
import type { Expectation } from "../../flow/expectation.ts";
import type { ExpectationCommit } from "../../kernel/expectation-commit.ts";
import { monotonicMs } from "../clock.ts";
import { SLICE_MS } from "../jobs.ts";
import { commitExpectations, resyncExpectations } from "./expectations.ts";

class Story extends ExpectationStory {
  rereads(): void {
    this.job(resyncExpectations(this.node.replica.expectations, this.startDump));
  }
}

describe("what an event says of an expectation stays, though a reread has an older portion in hand:", () => {
  test("one that ended does not come back", () => {
    const story = new Story();
    story.begins(3);
    story.hears(1);
    story.rereads();
    story.reads(1); // The first portion is received, and the kernel makes the second.
    story.ends(3);
    story.hears(1);
    story.reads(100);
    expect(story.held).toEqual(story.wanted);
  });

  test("one that was made anew is not what it was before", () => {
    const story = new Story();
    story.begins(3);
    story.hears(1);
    story.rereads();
    story.reads(1);
    story.ends(3);
    story.begins(3);
    story.hears(2);
    story.reads(100);
    expect(story.held).toEqual(story.wanted);
  });

  test("one that was seen by a reread is not ended by one that began later", () => {
    const story = new Story();
    story.begins(1);
    story.begins(3);
    story.hears(2);
    story.begins(5);
    story.ends(5);
    story.hears(1); // Its end is lost, so each reread needs a second dump.
    story.overrun();
    story.rereads();
    story.reads(7);
    story.rereads();
    story.reads(1, true);
    story.reads(2);
    expect(story.held.slice(0, 3)).toEqual(story.wanted.slice(0, 3));
    story.reads(100);
    expect(story.held).toEqual(story.wanted);
  });
});

test("one that merely shares its bucket with others that come and go stays, and one that was missed is found", () => {
  const story = new Story();
  const { expectations } = story.node.replica;
  const { expected } = makeExpectation(3);
  let other: Expectation | undefined;
  const age = expectations.recentEvents.read();
  for (let port = 7; port < 500_000 && other === undefined; port++) {
    const [low, high] = [port & 0xffff, 6 + (port >> 16)];
    const candidate = makeExpectation(low, { expected: { ...expected, ports: low, l4proto: high } });
    expectations.kernelEvent(false, candidate, 0);
    if (expectations.isOvertaken(makeExpectation(3), age)) other = candidate;
  }
  age.close();
  const tumult = (began: boolean): void => expectations.kernelEvent(began, other!, story.node.nowMs);
  story.begins(3);
  story.hears(1);
  story.begins(5);
  story.hears(1);
  story.ends(5);
  story.overrun(); // So a second dump is needed.
  story.rereads();
  for (let slice = 0; slice < 30; slice++) {
    story.reads(1);
    tumult(false);
  }
  story.reads(100);
  expect(story.held).toEqual(story.wanted);

  const late = new Story();
  late.begins(3);
  late.overrun();
  late.rereads();
  late.reads(1);
  late.node.replica.expectations.kernelEvent(false, other!, 0);
  late.reads(100);
  expect(late.held).toEqual(late.wanted);
});

const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("begins" as const, "ends" as const), fc.constantFrom(...PORTS)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("hears" as const), fc.integer({ min: 1, max: 3 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("reads" as const), fc.integer({ min: 1, max: 4 }), fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("rereads" as const, "overrun" as const)) },
);

test("whatever is lost and however events and portions mix, the cache is the kernel after a reread", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const story = new Story();
      for (const [what, ...how] of steps) {
        (story[what] as (...how: unknown[]) => void)(...how);
        if (what === "overrun") story.rereads();
      }
      story.reads(Number.POSITIVE_INFINITY);
      story.hears(Number.POSITIVE_INFINITY);
      expect(story.held).toEqual(story.wanted);
    }),
    { numRuns: 2_000 },
  );
});

test("a commit passes over what its peer gives up between two slices", () => {
  const external = new ExternalExpectations(8);
  for (const port of [1, 2, 3]) external.learn(makeExpectation(port), true, 0, 0);
  const taken: Expectation[] = [];
  let hasRoom = true;
  const commit = {
    ...{ committed: 0, hasRoom: () => hasRoom },
    add: (expectation: Expectation) => {
      taken.push(expectation);
      hasRoom = false;
    },
    flush: () => {
      for (const endMs = monotonicMs() + SLICE_MS; monotonicMs() < endMs; );
      hasRoom = true;
      return 0;
    },
  } as unknown as ExpectationCommit;
  const job = commitExpectations(external, commit);
  job.next();
  external.destroy(makeExpectation(2));
  while (!job.next().done);
  expect(taken.map(({ expected }) => expected.ports)).toEqual([1, 3]);
});
