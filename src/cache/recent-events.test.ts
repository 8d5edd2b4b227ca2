/** Portions of a dump and events, in every order in which they can come. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeFlow } from "../../test/make-flow.ts";
import { portsWord } from "../flow/flow.ts";
import { FlowHash } from "./hash.ts";
import { RecentEvents } from "./recent-events.ts";

const flows = Array.from({ length: 12 }, (_, i) => makeFlow({ ports: portsWord(1_000 + i, 443) }).words);
const recent = (): RecentEvents => new RecentEvents(new FlowHash(1, 2));

describe("an entry of a dump", () => {
  test("is doubtful when an event about its flow came after the kernel made the portion", () => {
    const events = recent();
    const age = events.read();
    events.note(flows[0]); // The first portion was made when the dump was asked for.
    age.received();
    expect(age.isDoubtful(flows[0])).toBe(true);
    expect(age.isDoubtful(flows[1])).toBe(false);
    events.note(flows[1]); // While the first portion is worked off; the second is made already.
    expect(age.isDoubtful(flows[1])).toBe(true);
    age.received();
    expect(age.isDoubtful(flows[1])).toBe(true);
    expect(age.isDoubtful(flows[0])).toBe(false);
    age.received();
    expect(age.isDoubtful(flows[1])).toBe(false);
  });

  test("of a dump that is begun anew is as young as the new beginning", () => {
    const events = recent();
    const age = events.read();
    age.received();
    events.note(flows[0]);
    age.started();
    age.received();
    expect(age.isDoubtful(flows[0])).toBe(false);
  });

  test("is doubtful, whatever its flow, when another reading began meanwhile: the kernel was written to before it", () => {
    const events = recent();
    const first = events.read();
    first.received();
    const second = events.read();
    second.received();
    expect(first.isDoubtful(flows[0])).toBe(true);
    expect(second.isDoubtful(flows[0])).toBe(false);
    first.received();
    first.received();
    expect(first.isDoubtful(flows[0])).toBe(false);
  });

  test("is not made doubtful by what came before anybody read", () => {
    const events = recent();
    events.note(flows[0]);
    const age = events.read();
    age.received();
    expect(age.isDoubtful(flows[0])).toBe(false);
    age.close();
    const { now } = events;
    events.note(flows[0]);
    expect(events.now).toBe(now);
  });
});

/**
 * A kernel whose flows have versions, 0 while they do not exist, and a cache that follows its events some of which wait. A
 * dump is made portion by portion, one ahead, while flows change; what is doubtful is asked for.
 */
class Story {
  readonly kernel = flows.map(() => 1);
  readonly cache = flows.map(() => 1);
  readonly events = recent();
  readonly age = this.events.read();
  readonly #waiting: { flow: number; version: number }[] = [];
  #made: number[] = [];
  #madeFrom = 0;
  #from = 0;
  #next = 0;
  #versions = 1;
  asked = 0;

  constructor() {
    this.#make();
  }

  changes(flow: number, ends: boolean): void {
    this.kernel[flow] = ends ? 0 : ++this.#versions;
    this.#waiting.push({ flow, version: this.kernel[flow] });
  }

  hears(count: number): void {
    for (const { flow, version } of this.#waiting.splice(0, count)) {
      this.events.note(flows[flow]);
      this.cache[flow] = version;
    }
  }

  receives(): void {
    const portion = this.#made;
    this.#from = this.#madeFrom;
    this.#make();
    this.age.received();
    this.#next = 0;
    this.#portion = portion;
  }
  #portion: number[] = [];

  /** Works off some entries of the portion in hand. */
  takes(count: number): void {
    for (; count > 0 && this.#next < this.#portion.length; count--, this.#next++) {
      const flow = this.#from + this.#next;
      const isDoubtful = this.age.isDoubtful(flows[flow]);
      if (isDoubtful) this.asked++;
      const version = isDoubtful ? this.kernel[flow] : this.#portion[this.#next];
      if (version !== 0 || isDoubtful) this.cache[flow] = version; // A dump does not name what has ended.
    }
  }

  #make(): void {
    const from = this.#madeFrom + this.#made.length;
    this.#made = this.kernel.slice(from, from + 4);
    this.#madeFrom = from;
  }
}

const step = fc.oneof(
  fc.tuple(fc.constant("changes" as const), fc.nat(flows.length - 1), fc.boolean()),
  fc.tuple(fc.constant("hears" as const), fc.integer({ min: 1, max: 4 })),
  fc.tuple(fc.constant("receives" as const)),
  fc.tuple(fc.constant("takes" as const), fc.integer({ min: 1, max: 4 })),
);

test("whatever the order of changes, events and portions, the cache is the kernel once all events are heard", () => {
  let asked = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const story = new Story();
      for (const [what, ...how] of steps) (story[what] as (...how: unknown[]) => void)(...how);
      story.hears(Number.POSITIVE_INFINITY);
      expect(story.cache).toEqual(story.kernel);
      asked += story.asked;
    }),
    { numRuns: 2_000 },
  );
  expect(asked).toBeGreaterThan(0);
});
