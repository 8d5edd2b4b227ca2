/**
 * 200,000 new flows at 50,000 a second: none is lost on the way from the kernel through both caches. Both are then compared
 * with the kernel's own table, flow by flow.
 */
import { expect, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import { makeSides, startPair } from "./daemon-pair.ts";

const FLOWS = 200_000;
const RATE = 50_000;

/** What names a flow and says its NAT and state, of a line of `ctsync dump` or of `conntrack -L`. */
function identity(line: string): string {
  const state = /\b(ESTABLISHED|SYN_SENT|TIME_WAIT|CLOSE)\b/.exec(line)?.[0] ?? "";
  const fields = line.match(/\b(src|dst|sport|dport|mark)=\S+/g) ?? [];
  return `${line.slice(0, 8).trim()} ${state} ${fields.join(" ")}`;
}

const identities = (lines: readonly string[]): Set<string> => new Set(lines.map(identity));

async function kernelTable(namespace: Namespace): Promise<string[]> {
  const table = await namespace.run(["conntrack", "-L"]);
  return table.split("\n").filter((line) => line.includes("dst=192.0.2.1 ")); // All but the sync link's own flow.
}

test("200,000 flows at 50,000 a second: kernel, internal and external cache are equal", async () => {
  await using lab = await Lab.create();
  const [primary, backup] = await startPair(await makeSides(lab));
  const command = [
    process.execPath,
    `${import.meta.dir}/../lab/generate.ts`,
    "--count",
    `${FLOWS}`,
    "--rate",
    `${RATE}`,
    "--snat",
  ];
  const load = JSON.parse(await primary.namespace.run(command));
  expect(load.refused).toBe(0);
  await until(async () => (await backup.status()).external >= FLOWS, 30_000, "the backup has all flows");

  const kernel = identities(await kernelTable(primary.namespace));
  expect(kernel.size).toBe(FLOWS);
  for (const cache of [await primary.dump("internal"), await backup.dump("external")]) {
    const found = identities(cache);
    expect([...kernel.difference(found)].slice(0, 5)).toEqual([]);
    expect([...found.difference(kernel)].slice(0, 5)).toEqual([]);
    expect(cache).toHaveLength(FLOWS);
  }
  expect((await primary.status()).counters.cache?.internalFull).toBe(0);
}, 120_000);

test("an overrun of the event socket while flows pour in is repaired: nothing is missing afterwards", async () => {
  await using lab = await Lab.create();
  const [primary, backup] = await startPair(
    await makeSides(lab, { netlink: { buffer_bytes: 65_536, buffer_max_bytes: 65_536 } }),
  );
  const command = [process.execPath, `${import.meta.dir}/../lab/generate.ts`, "--count", "60000", "--rate", "max"];
  expect(JSON.parse(await primary.namespace.run(command)).refused).toBe(0);
  await until(async () => (await backup.status()).external === 60_000, 30_000, "the backup has all flows");
  const { kernel, internal } = await primary.status();
  expect(kernel.overruns).toBeGreaterThan(0);
  expect(internal).toBe(60_000);
}, 60_000);
