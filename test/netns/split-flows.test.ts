/**
 * Two primaries over a sync link that lives or is cut, and one of them steps down: flow by flow, what the kernel of the one that
 * stays has then.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Flow } from "../../src/flow/flow.ts";
import { flowJson } from "../../src/flow/json.ts";
import { CTSYNC } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { cached, insert, kernelFlows, remove, type Side, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { converged, expectSame, makeFaultSides, mixedFlows, notify } from "./fault-pair.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 20_000;
/** A node that has heard nothing for so long has seen that it does not. */
const CUT_MS = 4_000;
const MOVED_AT_ONE = 55;
const MOVED_AT_TWO = 77;
const MODES = ["commit", "live"] as const;

async function sealedSides(lab: Lab, apply: (typeof MODES)[number], auditSeconds = 60): Promise<Sides> {
  const keyFile = join(lab.directory, "link.key");
  await succeed([CTSYNC, "keygen", keyFile]);
  return makeFaultSides(lab, { sync: { apply, audit_seconds: auditSeconds }, link: { key_file: keyFile } });
}

/** One is primary and has 1,000 flows, which Two knows. */
async function begin(sides: Sides): Promise<void> {
  const [one, two] = sides;
  await startPair(sides);
  await notify(one, "master");
  await notify(two, "backup");
  insert(one, mixedFlows(0, 1_000));
  await converged(one, two);
}

const nameOf = (line: string): string => JSON.stringify(JSON.parse(line).orig);
const namesOf = (flows: readonly Flow[]): string[] => flows.map((flow) => nameOf(flowJson(flow, 0)));
const byName = (side: Side): Map<string, string> => new Map(kernelFlows(side).map((line) => [nameOf(line), line]));

const knowsMarked = (side: Side, mark: number, count: number): Promise<boolean> =>
  until(
    async () => (await cached(side, "external")).filter((line) => JSON.parse(line).mark === mark).length === count,
    DEADLINE_MS,
    `${side.namespace.name} knows ${count} flows of mark ${mark}`,
  );

const tookOn = (side: Side) =>
  until(
    async () => {
      const { takenOn } = await statusOf(side);
      return takenOn !== null && takenOn.flows + takenOn.failed > 0 ? takenOn : undefined;
    },
    DEADLINE_MS,
    `${side.namespace.name} has taken on what the other one let in`,
  );

describe("sealed link", () => {
  test.each(MODES)("%s: what moved at the one that steps down is taken on, and nothing that ended", async (apply) => {
    await using lab = await Lab.create();
    const sides = await sealedSides(lab, apply);
    const [one, two] = sides;
    await begin(sides);
    await notify(two, "master");

    insert(two, mixedFlows(1_000, 1_100));
    insert(two, mixedFlows(0, 100, MOVED_AT_TWO));
    insert(two, mixedFlows(1_200, 1_300));
    remove(two, [...mixedFlows(50, 60), ...mixedFlows(1_200, 1_250)]);
    // A FIN is seen before the end is; what ends without one has run out, and nobody sent it through the other one either.
    insert(one, mixedFlows(100, 200, MOVED_AT_ONE));
    remove(one, [...mixedFlows(100, 150), ...mixedFlows(200, 300)]);
    insert(one, mixedFlows(1_100, 1_200));
    await knowsMarked(one, MOVED_AT_TWO, 90);
    await knowsMarked(two, MOVED_AT_ONE, 50);
    const [ones, twos] = [byName(one), byName(two)];
    const moved = [
      ...mixedFlows(0, 50),
      ...mixedFlows(60, 100),
      ...mixedFlows(1_000, 1_100),
      ...mixedFlows(1_250, 1_300),
    ];
    const wanted = new Map(ones);
    for (const name of namesOf(moved)) wanted.set(name, twos.get(name) as string);

    await notify(two, "backup");
    expect(await tookOn(one)).toMatchObject({ flows: 240, failed: 0, failures: [] });
    expectSame(kernelFlows(one), [...wanted.values()].sort());
    await converged(one, two);
  });

  test("what goes on at the one that steps down without an event is taken on, once its timer was seen to be renewed", async () => {
    await using lab = await Lab.create();
    const sides = await sealedSides(lab, "commit", 1);
    const [one, two] = sides;
    await begin(sides);
    // What is committed from now on never raises an event.
    await two.namespace.sysctl({ "net.netfilter.nf_conntrack_events": 0 });
    await notify(two, "master");
    insert(two, mixedFlows(0, 100), 5_000);
    remove(one, mixedFlows(0, 200));
    const wanted = kernelFlows(two).length - 100;
    const passes = async () => (await statusOf(two)).counters.audit?.passes ?? 0;
    const before = await passes();
    await until(async () => (await passes()) > before + 1, DEADLINE_MS, "two has compared its whole table");

    await notify(two, "backup");
    expect(await tookOn(one)).toMatchObject({ flows: 100, failed: 0 });
    expect(kernelFlows(one)).toHaveLength(wanted);
    expect(namesOf(mixedFlows(0, 100)).every((name) => byName(one).has(name))).toBeTrue();
  });

  test("the same if the split was not seen, since the link was cut from its beginning to its end", async () => {
    await using lab = await Lab.create();
    const sides = await sealedSides(lab, "commit");
    const [one, two] = sides;
    await begin(sides);
    // What moved in the last moment before the cut the other one may not have known, and nobody could tell.
    const heardWords = async () => (await statusOf(one)).counters.wire.extensionsReceived;
    const before = await heardWords();
    await until(async () => (await heardWords()) > before + 8, DEADLINE_MS, "one has heard of two since");
    await one.namespace.ip("link set sync down");
    insert(one, mixedFlows(50, 60, MOVED_AT_ONE));
    remove(one, [...mixedFlows(50, 55), ...mixedFlows(200, 300)]);
    const heard = async (side: Side) => (await statusOf(side)).peer.lastHeardMs ?? 0;
    for (const side of sides)
      await until(async () => (await heard(side)) > CUT_MS, DEADLINE_MS, "both know of the cut");
    const words = [notify(two, "master")];
    await until(async () => kernelFlows(two).length === 1_000, DEADLINE_MS, "two has committed what it knew");
    await until(async () => (await statusOf(two)).internal === 1_000, DEADLINE_MS, "two has read its kernel");
    insert(two, [...mixedFlows(1_000, 1_100), ...mixedFlows(0, 100, MOVED_AT_TWO)]);
    await until(async () => (await statusOf(two)).internal === 1_100, DEADLINE_MS, "two has heard of its flows");
    const [ones, twos] = [byName(one), byName(two)];
    const wanted = new Map(ones);
    for (const name of namesOf([...mixedFlows(0, 50), ...mixedFlows(60, 100), ...mixedFlows(1_000, 1_100)]))
      wanted.set(name, twos.get(name) as string);

    words.push(notify(two, "backup"));
    await until(async () => (await statusOf(two)).role === "backup", DEADLINE_MS, "two is backup again");
    await one.namespace.ip("link set sync up");
    expect(await tookOn(one)).toMatchObject({ flows: 190, failed: 0 });
    expectSame(kernelFlows(one), [...wanted.values()].sort());
    await converged(one, two);
    await Promise.all(words);
  });
});

test("open link: nothing is taken on", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  const [one, two] = sides;
  await begin(sides);
  await notify(two, "master");
  insert(two, mixedFlows(1_000, 1_100));
  remove(one, mixedFlows(0, 100));
  const before = kernelFlows(one);
  await notify(two, "backup");
  await until(async () => (await cached(one, "external")).length >= 100, DEADLINE_MS, "one knows what two let in");
  expect(kernelFlows(one)).toEqual(before);
  expect((await statusOf(one)).takenOn).toBeNull();
});
