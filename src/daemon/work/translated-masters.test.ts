import { expect, test } from "bun:test";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { FlowHash } from "../../cache/hash.ts";
import { RecentEvents } from "../../cache/recent-events.ts";
import { type Expectation, flowOfTuple } from "../../flow/expectation.ts";
import { Flow } from "../../flow/flow.ts";
import { TranslatedMasters } from "./translated-masters.ts";

/** Masters of the kernel's, of which it has what is asked for. */
function start() {
  const recentEvents = new RecentEvents(new FlowHash(1, 2));
  const taken: Flow[] = [];
  const asked: Flow[] = [];
  const lookup = {
    add: (flow: Flow) => void asked.push(copied(flow)),
    ask: () => 0,
    found: () => asked.at(-1),
  };
  const kernelEntry = (flow: Flow) => {
    taken.push(flow);
    return "updated" as const;
  };
  /** Peers hear of these at once; of the others nobody knows here. */
  const told: Flow[] = [];
  const known = { all: true };
  const tellNow = (flow: Flow): boolean => {
    if (known.all) told.push(copied(flow));
    return known.all;
  };
  const replica = { kernelEntry, recentEvents, tellNow };
  return { recentEvents, taken, told, known, masters: new TranslatedMasters(lookup, replica) };
}

function copied(flow: Flow): Flow {
  const copy = new Flow();
  copy.copyFrom(flow);
  return copy;
}

const translated = (number: number) =>
  makeExpectation(number, { nat: { tuple: makeExpectation(number).expected, direction: "orig" } });

function masterOf(expectation: Expectation): Flow {
  const master = new Flow();
  flowOfTuple(expectation.master, master);
  return master;
}

test("the master of a translated expectation is read anew, and what a dump that is under way has of it is doubtful then", () => {
  const { recentEvents, taken, masters } = start();
  const dump = recentEvents.read();
  masters.began(makeExpectation(2_000), 0);
  expect(masters.dueMs).toBe(Number.POSITIVE_INFINITY);

  const master = masterOf(translated(2_001));
  expect(dump.isDoubtful(master.words)).toBeFalse();
  masters.began(translated(2_001), 10);
  masters.tick(11);
  expect(taken).toEqual([]);
  expect(masters.dueMs).toBe(12);
  masters.tick(12);
  expect(taken.map(({ words }) => words)).toEqual([master.words]);
  expect(dump.isDoubtful(master.words)).toBeTrue();
  expect(masters.dueMs).toBe(Number.POSITIVE_INFINITY);
  dump.close();
});

test("of many that are due some are read in a turn, and the others at once in the next ones", () => {
  const { taken, masters } = start();
  const wanted = Array.from({ length: 100 }, (_, i) => translated(i + 1));
  for (const one of wanted) masters.began(one, 0);
  masters.tick(2);
  expect(taken.length).toBeWithin(1, 100);
  expect(masters.dueMs).toBe(2);
  while (masters.dueMs < Number.POSITIVE_INFINITY) masters.tick(2);
  expect(taken.map(({ words }) => words)).toEqual(wanted.map((one) => masterOf(one).words));
});

test("when too many wait, one that begins is read without waiting", () => {
  const { taken, masters } = start();
  for (let i = 1; i <= 1_024; i++) masters.began(translated(i), 0);
  expect(taken).toEqual([]);
  masters.began(translated(1_025), 0);
  expect(taken.map(({ words }) => words)).toEqual([masterOf(translated(1_025)).words]);
});

test("a master that the peers have not heard of yet is told before all that can wait; one that is unknown here is read for it", () => {
  const { taken, told, known, masters } = start();
  const plain = makeExpectation(2_000);
  masters.began(plain, 0);
  expect(masters.dueMs).toBe(Number.POSITIVE_INFINITY);
  expect(told.map(({ words }) => words)).toEqual([masterOf(plain).words]);
  known.all = false;
  masters.began(plain, 0);
  known.all = true;
  masters.tick(2);
  expect(taken.map(({ words }) => words)).toEqual([masterOf(plain).words]);
  expect(told).toHaveLength(2);
});
