/** What leaves the internal cache when an address comes to this machine. */
import { expect, test } from "bun:test";
import { makeFlow } from "../../../test/make-flow.ts";
import { pair, talk } from "../../../test/replica-node.ts";
import { EVENT_NEW } from "../../replica.ts";
import { Jobs } from "../jobs.ts";
import { OwnFlows } from "./own-flows.ts";

const ADDRESS = 0x0a320001; // 10.50.0.1

/** Runs what waits in `jobs` to its end. */
async function work(jobs: Jobs): Promise<void> {
  for (let turn = 0; jobs.dueMs < Number.POSITIVE_INFINITY; turn++) {
    if (turn > 100) throw new Error("it never comes to an end");
    jobs.turn(Number.MAX_VALUE);
    await null;
  }
}

test("the flows that begin or end at the address, and no others; the peer hears of it; again with the next address", async () => {
  const [a, b] = pair();
  const jobs = new Jobs();
  const logged: string[] = [];
  const info = (line: string): void => void logged.push(line);
  const ownFlows = new OwnFlows({ replica: a.replica, filter: a.filter, jobs, log: { info } });
  a.event(EVENT_NEW, makeFlow({ source: [ADDRESS], ports: 1 }));
  a.event(EVENT_NEW, makeFlow({ destination: [ADDRESS], ports: 2 }));
  a.event(EVENT_NEW, makeFlow({ source: [ADDRESS + 1], ports: 3 }));
  a.event(EVENT_NEW, makeFlow({ ports: 4 }));
  talk(a, b);
  const comes = (address: number): void => {
    a.filter.setOwn([{ family: 4, words: [address], prefixBits: 32 }]);
    ownFlows.addressCame();
  };

  comes(ADDRESS);
  await work(jobs);
  talk(a, b);
  expect([a.replica.internal.count, b.replica.external.count]).toEqual([2, 2]);

  comes(ADDRESS + 2); // Nobody's flow: no word of it.
  comes(ADDRESS + 1);
  await work(jobs);
  talk(a, b);
  expect([a.replica.internal.count, b.replica.external.count]).toEqual([1, 1]);
  expect(logged).toEqual([
    "flows of this machine's own addresses, taken back: 2",
    "flows of this machine's own addresses, taken back: 1",
  ]);
});
