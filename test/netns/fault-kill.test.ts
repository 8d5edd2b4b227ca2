/**
 * kill -9 of either daemon at any moment of a bulk or of a commit. The moments are drawn from a seed, which the name of a
 * failed test tells; CTSYNC_SEED tries another.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { compareLines } from "../lab/compare.ts";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { Random } from "../sim/random.ts";
import {
  ask,
  connected,
  DEADLINE_MS,
  insert,
  kernelFlows,
  type Sides,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, notify, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

const SEED = Number(process.env.CTSYNC_SEED ?? 20);
const FLOWS = 30_000;
/** About how long a bulk, and a commit, of so many flows take. */
const BULK_MS = 100;
const COMMIT_MS = 200;

const random = new Random(SEED);
const moments = (count: number, endMs: number): number[] => Array.from({ length: count }, () => random.below(endMs));

let lab: Lab;
let sides: Sides;
let daemons: [Daemon, Daemon];

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeFaultSides(lab);
  daemons = await startPair(sides);
  insert(sides[0], mixedFlows(0, FLOWS));
  await converged(sides[0], sides[1]);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Asks for something, and kills a daemon so many milliseconds later. */
async function killAmid(i: 0 | 1, afterMs: number, work: Promise<unknown>): Promise<void> {
  work.catch(() => undefined); // Its answer dies with the daemon.
  await Bun.sleep(afterMs);
  daemons[i].process.kill("SIGKILL");
  expect(await daemons[i].process.exited).toBe(137);
}

const bulk = (): Promise<unknown> => ask(sides[0], "POST", "/v1/bulk");

test(`the primary's daemon dies amid a bulk, and the backup takes over (seed ${SEED})`, async () => {
  const wanted = kernelFlows(sides[0]);
  const [afterMs] = moments(1, BULK_MS);
  await killAmid(0, afterMs!, bulk());
  await takesOver(sides[1], wanted);
});

test(`either daemon dies amid a bulk, again and again, and starts again: nothing is missing (seed ${SEED})`, async () => {
  for (const [round, afterMs] of moments(4, BULK_MS).entries()) {
    const dies = (round % 2) as 0 | 1;
    await killAmid(dies, afterMs, bulk());
    insert(sides[0], mixedFlows(0, 1_000, 10 + round)); // Meanwhile marks change.
    daemons[dies] = await start(sides[dies]);
    await connected(sides[dies]);
    await converged(sides[0], sides[1]);
  }
  await killAmid(0, 0, Promise.resolve());
  await takesOver(sides[1], kernelFlows(sides[0]));
});

test(`the backup's daemon dies amid its commit, starts again and is told again: all is there (seed ${SEED})`, async () => {
  const wanted = kernelFlows(sides[0]);
  for (const afterMs of moments(3, COMMIT_MS)) {
    await killAmid(1, afterMs, notify(sides[1], "master"));
    expect(compareLines(wanted, kernelFlows(sides[1])).unwanted).toEqual([]); // What got there is right.
    daemons[1] = await start(sides[1]);
    await connected(sides[1]);
    const has = async () => (await statusOf(sides[1])).external === FLOWS;
    await until(has, DEADLINE_MS, "the restarted backup has got everything from the peer again");
  }
  await takesOver(sides[1], wanted);
});

test(`both die, the primary for good, the backup amid its commit: what was committed stays, the status says that nobody is there to give the rest (seed ${SEED})`, async () => {
  const wanted = kernelFlows(sides[0]);
  const [afterMs] = moments(1, COMMIT_MS);
  await killAmid(0, 0, Promise.resolve());
  await killAmid(1, afterMs!, notify(sides[1], "master"));
  const committed = kernelFlows(sides[1]);
  expect(compareLines(wanted, committed).unwanted).toEqual([]);
  daemons[1] = await start(sides[1]);
  const counted = async () => (await statusOf(sides[1])).internal === committed.length;
  await until(counted, DEADLINE_MS, "it has read what is in its kernel");
  notify(sides[1], "master").catch(() => undefined);
  await until(async () => (await statusOf(sides[1])).role === "master", DEADLINE_MS, "it is told again");
  const { peer, lastCommit, internal } = await statusOf(sides[1]);
  expect(peer).toMatchObject({ lastHeardMs: null });
  expect({ lastCommit, internal }).toEqual({ lastCommit: null, internal: committed.length });
  expect(kernelFlows(sides[1])).toEqual(committed);
});
