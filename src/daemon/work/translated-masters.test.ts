import { expect, test } from "bun:test";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { FlowHash } from "../../cache/hash.ts";
import { RecentEvents } from "../../cache/recent-events.ts";
import { flowOfTuple } from "../../flow/expectation.ts";
import { Flow } from "../../flow/flow.ts";
import { TranslatedMasters } from "./translated-masters.ts";

test("the master of a translated expectation is read anew, and what a dump that is under way has of it is doubtful then", async () => {
  const recentEvents = new RecentEvents(new FlowHash(1, 2));
  const taken: Flow[] = [];
  const asked: Flow[] = [];
  const lookup = {
    add: (flow: Flow) => {
      const copy = new Flow();
      copy.copyFrom(flow);
      asked.push(copy);
    },
    ask: () => 0,
    found: () => asked.at(-1),
  };
  const kernelEntry = (flow: Flow) => {
    taken.push(flow);
    return "updated" as const;
  };
  const jobs = {
    addIdle: async (job: Generator): Promise<never> => {
      while (!job.next().done);
      return undefined as never;
    },
  };
  const masters = new TranslatedMasters(lookup, { kernelEntry, recentEvents }, jobs);
  const dump = recentEvents.read();

  masters.began(makeExpectation(2_000));
  expect(taken).toEqual([]);

  const { expected } = makeExpectation(2_001);
  const translated = makeExpectation(2_001, { nat: { tuple: expected, direction: "orig" } });
  const master = new Flow();
  flowOfTuple(translated.master, master);
  expect(dump.isDoubtful(master.words)).toBeFalse();
  masters.began(translated);
  expect(taken.map(({ words }) => words)).toEqual([master.words]);
  expect(dump.isDoubtful(master.words)).toBeTrue();
  dump.close();
});
