/** The audit finds in the kernel's table what no event told of, mends both caches, and gives way to other rereads. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  DEADLINE_MS,
  insert,
  makeSides,
  remove,
  replicated,
  type Side,
  type Sides,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab, { sync: { audit_seconds: 1 } });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const flows = (from: number, to: number, wanted: Partial<Parameters<typeof flowOf>[0]> = {}): f.Flow[] =>
  Array.from({ length: to - from }, (_, i) =>
    flowOf({
      l4proto: 6,
      source: 1 + ((from + i) >> 14),
      ports: f.portsWord(1 + ((from + i) & 0x3fff), 80),
      state: 3,
      ...wanted,
    }),
  );

const auditOf = async (side: Side) => (await statusOf(side)).counters.audit!;
const eventsOf = async (side: Side) => (await statusOf(side)).counters.kernel!.received!;

/** A pass counts what it found once it has come to its end: until the one that is under way has. */
async function passOver(side: Side): Promise<void> {
  const { passes } = await auditOf(side);
  await until(async () => (await auditOf(side)).passes! > passes!, DEADLINE_MS, "the end of a pass");
}

/** Flows that never raise an event, as those that are older than any listener with nf_conntrack_events=2. */
async function insertUnheard(side: Side, unheard: readonly f.Flow[], timeoutSeconds = 300): Promise<void> {
  await side.namespace.sysctl({ "net.netfilter.nf_conntrack_events": 0 });
  insert(side, unheard, timeoutSeconds);
  await side.namespace.sysctl({ "net.netfilter.nf_conntrack_events": 1 });
}

test("of flows that never raise an event, state, mark, timer and end are found all the same", async () => {
  await insertUnheard(sides[0], flows(0, 600));
  const [daemon] = await startPair(sides);
  await replicated(sides[0], sides[1]);
  const before = await eventsOf(sides[0]);

  insert(sides[0], flows(0, 100, { state: 4 }));
  insert(sides[0], flows(100, 300, { mark: 7 }));
  remove(sides[0], flows(300, 450));
  insert(sides[0], flows(450, 600), 50_000);
  await replicated(sides[0], sides[1]);
  await passOver(sides[0]);
  expect(await auditOf(sides[0])).toMatchObject({ missing: 0, changed: 300, dead: 150, timers: 150 });
  expect(await eventsOf(sides[0])).toBeLessThan(before + 100); // The link's own, and no more.
  const { text } = await ask(sides[0], "GET", "/v1/dump?cache=internal&format=json");
  const timeouts = text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line).timeoutSeconds as number]));
  expect(timeouts.filter((seconds) => seconds > 49_000)).toHaveLength(150);
  const told = /info: audit: of the flows in the kernel 0 were missing .* and (\d+) had changed/g;
  const changed = Array.from(daemon.process.output.matchAll(told), ([, count]) => Number(count));
  expect(changed.reduce((sum, count) => sum + count, 0)).toBe(300); // A pass may have been under way meanwhile.
});

test("flows that began while the kernel raised no events at all are found, and told to the peer", async () => {
  await startPair(sides);
  await insertUnheard(sides[0], flows(0, 2_000));
  await replicated(sides[0], sides[1]);
  await passOver(sides[0]);
  expect(await auditOf(sides[0])).toMatchObject({ missing: 2_000, changed: 0, dead: 0 });
  expect((await statusOf(sides[0])).audit?.flows).toBe(2_000);
});

test("while events tell everything, the audit finds nothing, however much happens", async () => {
  const [daemon] = await startPair(sides);
  const { passes } = await auditOf(sides[0]);
  for (let round = 1; (await auditOf(sides[0])).passes! < passes! + 2; round++) {
    insert(sides[0], flows(0, 3_000, { mark: round }));
    remove(sides[0], flows(0, 1_500));
  }
  await passOver(sides[0]);
  await replicated(sides[0], sides[1]);
  expect(await auditOf(sides[0])).toMatchObject({ missing: 0, changed: 0, dead: 0 });
  expect(daemon.process.output).not.toContain("audit");
});

test("a pass gives way to a resync", async () => {
  const [daemon] = await startPair(sides);
  insert(sides[0], flows(0, 40_000), 5_000);
  await replicated(sides[0], sides[1]);
  const { abandoned } = await auditOf(sides[0]);
  await until(
    async () => {
      await daemon.succeed("resync");
      return (await auditOf(sides[0])).abandoned! > abandoned!;
    },
    DEADLINE_MS,
    "a pass is abandoned",
    200,
  );
  expect(await daemon.succeed("resync")).toContain(": 0 new, 0 updated, 0 removed");
});
