/**
 * Two primaries that do not hear each other, and the daemon of the later one is killed and started again before they do: flow by
 * flow, what the kernel of the one that stays has in the end.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Flow } from "../../src/flow/flow.ts";
import { flowJson } from "../../src/flow/json.ts";
import { CTSYNC } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { insert, kernelFlows, remove, type Side, type Sides, start, startPair, statusOf } from "./daemon-pair.ts";
import { converged, expectSame, makeFaultSides, mixedFlows } from "./fault-pair.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 20_000;
/** A node that has heard nothing for so long has seen that it does not. */
const CUT_MS = 4_000;
const MOVED_AT_ONE = 55;
const MOVED_AT_TWO = 77;
const VIRTUAL = "192.0.2.1";

async function sidesWithAddress(lab: Lab, apply: string): Promise<Sides> {
  const keyFile = join(lab.directory, "link.key");
  await succeed([CTSYNC, "keygen", keyFile]);
  return makeFaultSides(lab, {
    sync: { apply },
    link: { key_file: keyFile },
    keepalived: { virtual_addresses: [VIRTUAL] },
  });
}

const address = ({ namespace }: Side, verb: "add" | "del") => namespace.ip(`addr ${verb} ${VIRTUAL}/32 dev lo`);
const hasRole = (side: Side, role: string) =>
  until(async () => (await statusOf(side)).role === role, DEADLINE_MS, `${side.namespace.name} is ${role}`);
const hasRead = (side: Side) =>
  until(
    async () => (await statusOf(side)).internal === kernelFlows(side).length,
    DEADLINE_MS,
    `${side.namespace.name} knows what its kernel has`,
  );
const nameOf = (line: string): string => JSON.stringify(JSON.parse(line).orig);
const namesOf = (flows: readonly Flow[]): string[] => flows.map((flow) => nameOf(flowJson(flow, 0)));
const byName = (side: Side): Map<string, string> => new Map(kernelFlows(side).map((line) => [nameOf(line), line]));

test.each([
  ["the other one", "live"],
  ["it", "commit"],
] as const)(
  "%s stays primary, apply = %s: what moved at either is there as it was last, and nothing that ended",
  async (stays, apply) => {
    await using lab = await Lab.create();
    const sides = await sidesWithAddress(lab, apply);
    const [one, two] = sides;
    await address(one, "add");
    const [, daemon] = await startPair(sides);
    await hasRole(one, "master");
    insert(one, mixedFlows(0, 1_000));
    await converged(one, two);

    // What moved in the last moment before the cut the other one may not have known, and nobody could tell.
    const heardWords = async () => (await statusOf(one)).counters.wire.extensionsReceived;
    const before = await heardWords();
    await until(async () => (await heardWords()) > before + 8, DEADLINE_MS, "one has heard of two since");
    await one.namespace.ip("link set sync down");
    for (const side of sides)
      await until(
        async () => ((await statusOf(side)).peer.lastHeardMs ?? 0) > CUT_MS,
        DEADLINE_MS,
        "both know of the cut",
      );
    await address(two, "add");
    await hasRole(two, "master");
    await until(() => kernelFlows(two).length === 1_000, DEADLINE_MS, "two has committed what it knew");
    await hasRead(two);
    insert(one, [...mixedFlows(50, 60, MOVED_AT_ONE), ...mixedFlows(1_100, 1_120)]);
    remove(one, mixedFlows(200, 300));
    insert(two, [...mixedFlows(0, 50, MOVED_AT_TWO), ...mixedFlows(1_000, 1_050)]);
    remove(two, mixedFlows(300, 350));
    for (const side of sides) await hasRead(side);

    daemon.process.kill("SIGKILL");
    await daemon.process.exited;
    const next = await start(two);
    await next.process.waitForLine(/info: goes on with reign 2, which a daemon before this one began/, DEADLINE_MS);
    insert(two, mixedFlows(1_050, 1_100));
    await hasRead(two);
    const [ones, twos] = [byName(one), byName(two)];
    const [survivor, loser] = stays === "it" ? [two, one] : [one, two];
    const wanted = stays === "it" ? new Map(twos) : new Map(ones);
    const moved =
      stays === "it" ? [mixedFlows(50, 60), mixedFlows(1_100, 1_120)] : [mixedFlows(0, 50), mixedFlows(1_000, 1_100)];
    for (const name of namesOf(moved.flat())) wanted.set(name, (stays === "it" ? ones : twos).get(name) as string);

    await one.namespace.ip("link set sync up");
    await until(async () => (await statusOf(two)).keepalived.peerRole === "master", DEADLINE_MS, "two hears one again");
    await address(loser, "del");
    await hasRole(loser, "backup");
    await until(
      async () => (await statusOf(survivor)).takenOn !== null,
      DEADLINE_MS,
      "what the other one let in is taken on",
    );
    expectSame(kernelFlows(survivor), [...wanted.values()].sort());
    await converged(survivor, loser);
    expect(sides.map(({ socket }) => existsSync(`${socket}.reign`))).toEqual([stays !== "it", stays === "it"]);
  },
);
