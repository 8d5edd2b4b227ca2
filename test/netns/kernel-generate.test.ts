/** The load generator: the flows it says, at the rate it says. */
import { expect, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { RULES } from "./kernel-traffic.ts";

const generate = async (namespace: Namespace, ...argv: string[]): Promise<{ refused: number; seconds: number }> =>
  JSON.parse(await namespace.run([process.execPath, `${import.meta.dir}/../lab/generate.ts`, ...argv]));
const count = async (namespace: Namespace): Promise<number> => Number(await namespace.run(["conntrack", "-C"]));

test("it inserts, updates and deletes any shape of flow", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("load");
  await namespace.nft(RULES);
  for (const shape of [["--snat"], ["--ipv6", "--protocol", "udp"]]) {
    const inserted = await generate(namespace, "--count", "40000", ...shape);
    expect(inserted.refused).toBe(0);
    expect(await count(namespace)).toBe(40_000);
    expect((await generate(namespace, "--count", "40000", "--action", "update", "--mark", "3", ...shape)).refused).toBe(
      0,
    );
    expect(await count(namespace)).toBe(40_000);
    expect((await generate(namespace, "--count", "40000", "--action", "delete", ...shape)).refused).toBe(0);
    expect(await count(namespace)).toBe(0);
  }
}, 30_000);

test("a rate is held", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("paced");
  await namespace.nft(RULES);
  const { seconds } = await generate(namespace, "--count", "10000", "--rate", "20000");
  expect(seconds).toBeGreaterThan(0.45); // Never faster than asked: 10,000 flows take half a second.
});
