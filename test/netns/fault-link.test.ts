/**
 * A sync link that is cut, half deaf, or loses a third of what it carries, while flows begin, change and end: nothing is
 * missing once it heals, and a takeover at the end shows it. What happens at the daemons' side of a link that goes and comes
 * is in daemon-link.test.ts.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { Loss } from "../lab/loss.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, kernelFlows, remove, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;
let daemon: Daemon; // the primary's

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeFaultSides(lab);
  [daemon] = await startPair(sides);
  insert(sides[0], mixedFlows(0, 4_000));
  await converged(sides[0], sides[1]);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Flows that begin, change and end. */
function traffic(): void {
  insert(sides[0], mixedFlows(4_000, 6_000));
  insert(sides[0], mixedFlows(1_000, 2_000, 99));
  remove(sides[0], mixedFlows(0, 1_000));
}

/** The backup is whole again; then the primary dies, and the backup's kernel gets what the primary's had. */
async function survives(): Promise<void> {
  await converged(sides[0], sides[1]);
  const wanted = kernelFlows(sides[0]);
  expect(wanted).toHaveLength(5_000);
  daemon.process.kill("SIGKILL");
  await takesOver(sides[1], wanted);
}

const silent = (i: 0 | 1): Promise<boolean> =>
  until(
    async () => (await statusOf(sides[i])).peer.state === "silent",
    DEADLINE_MS,
    `${sides[i].namespace.name} says that its peer is silent`,
  );

const ip = (i: 0 | 1, ...commands: string[]): Promise<void> => sides[i].namespace.ip(...commands);

test("the link is set down and up", async () => {
  await ip(0, "link set dev sync down");
  await until(async () => !(await statusOf(sides[0])).link.up, DEADLINE_MS, "the status names the link");
  traffic();
  await silent(1);
  await ip(0, "link set dev sync up");
  await survives();
});

test("the link's interface is deleted and made anew", async () => {
  await ip(1, "link delete dev sync");
  traffic();
  await until(async () => !(await statusOf(sides[1])).link.up, DEADLINE_MS, "the status names the link");
  await ip(0, `link add sync type veth peer name sync netns ${sides[1].namespace.realName}`);
  for (const i of [0, 1] as const) await ip(i, `address add 10.0.9.${i + 1}/24 dev sync`, "link set dev sync up");
  await survives();
});

test("the backup's address is taken away and comes back", async () => {
  await ip(1, "address delete 10.0.9.2/24 dev sync");
  traffic();
  await silent(0);
  await ip(1, "address add 10.0.9.2/24 dev sync");
  await survives();
});

test.each([
  ["from the primary to the backup", 1],
  ["from the backup to the primary", 0],
] as const)("a black hole %s: the deaf side says so, and gets all when it hears again", async (_, deaf) => {
  const hole = await Loss.of(sides[deaf].namespace, "sync", 100);
  traffic();
  await silent(deaf);
  expect(await hole.lostCount()).toBeGreaterThan(0);
  await hole.heal();
  await survives();
});

test("30% of the datagrams are lost in both directions, for good: all arrives, and the takeover is whole", async () => {
  await using there = await Loss.of(sides[1].namespace, "sync", 30);
  await using back = await Loss.of(sides[0].namespace, "sync", 30);
  traffic();
  await survives();
  expect(await there.lostCount()).toBeGreaterThan(0);
  expect(await back.lostCount()).toBeGreaterThan(0);
});
