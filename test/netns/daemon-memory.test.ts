/** Flows that come and go leave nothing behind in either daemon: neither memory nor descriptors. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { insert, makeSides, remove, type Side, startPair, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(120_000);

const FLOWS = 50_000;
const ROUNDS = 4;
const ROUND_DEADLINE_MS = 20_000;
/** What garbage collection leaves to chance. */
const NOISE_BYTES = 8_000_000;

const flows = Array.from({ length: FLOWS }, (_, i) =>
  flowOf({ l4proto: 6, ipv6: i % 2 === 1, source: 1 + (i >> 14), ports: f.portsWord(1 + (i & 0x3fff), 80), state: 3 }),
);

const residentBytes = (pid: number): number =>
  1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

test("50,000 flows that come and go, again and again, grow neither daemon after the first time", async () => {
  await using lab = await Lab.create();
  const sides = await makeSides(lab, { sync: { flows_max: 65_536 } });
  const pids = (await startPair(sides)).map(({ process }) => process.pid);
  const holds = async (side: Side, cache: "internal" | "external", count: number): Promise<boolean> =>
    (await statusOf(side))[cache] === count;
  const bothHold = (count: number): Promise<boolean> =>
    until(
      async () => (await holds(sides[0], "internal", count)) && (await holds(sides[1], "external", count)),
      ROUND_DEADLINE_MS,
      `${count} flows on both sides`,
    );
  const resident: number[][] = [];
  const open: number[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    insert(sides[0], flows);
    await bothHold(FLOWS);
    remove(sides[0], flows);
    await bothHold(0);
    resident.push(pids.map(residentBytes));
    open.push(pids.map(descriptors));
  }
  for (const i of pids.keys()) {
    for (const bytes of resident.slice(1)) expect(bytes[i]!).toBeLessThan(resident[0]![i]! + NOISE_BYTES);
    expect(new Set(open.map((counts) => counts[i])).size).toBe(1);
  }
});
