/** The backup's conntrack table is full, when it takes over or while it follows: what fits is there, and the status says how much is not, and why. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { compareLines } from "../lab/compare.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, kernelFlows, makeSides, start, startPair, statusOf } from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, notify, takesOver } from "./fault-pair.ts";
import { generate, LIVE, same } from "./live-pair.ts";

setDefaultTimeout(60_000);

const FLOWS = 25_000;
/** More than other labs on the machine need, since the setting is the machine's. */
const ROOM = 20_000;

const limit = (lab: Lab, flows: number): void => lab.machineSysctl("net.netfilter.nf_conntrack_max", flows);
const flowsMax = async (): Promise<number> => Number(await Bun.file("/proc/sys/net/netfilter/nf_conntrack_max").text());

test("a full table takes what it can; the status names the rest and the reason; with more room the next takeover is whole", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  const [primary, backup] = sides;
  const [daemon, survivor] = await startPair(sides);
  insert(primary, mixedFlows(0, FLOWS));
  await converged(primary, backup);
  const wanted = kernelFlows(primary);
  const before = await flowsMax();

  limit(lab, ROOM);
  const { steps } = await notify(backup, "master");
  limit(lab, before);
  const commit = steps.find(({ step }) => step === "commit");
  expect(commit).toMatchObject({ ok: false, text: expect.stringContaining("could not be committed") });
  const { unwanted, missing } = compareLines(wanted, kernelFlows(backup));
  expect(unwanted).toEqual([]);
  expect(missing.length).toBeWithin(FLOWS - ROOM, FLOWS - ROOM + 10); // The machine's own few count too.

  const status = await statusOf(backup);
  expect(status.lastRoleChange).toMatchObject({ role: "master", ok: false });
  expect(status.lastCommit).toMatchObject({
    committed: FLOWS - missing.length,
    failed: missing.length,
    failures: [{ errno: "ENOMEM", count: missing.length, reason: expect.stringContaining("table is full") }],
  });
  expect(status.counters.kernel!.refused).toBe(missing.length);
  expect(await survivor.succeed("status")).toMatch(
    /^commit +5,0\d\d of 25,000 flows refused .*: the conntrack table is full/m,
  );

  // The other one still has them all: asked again, it gives them again.
  await survivor.succeed("request");
  daemon.process.kill("SIGKILL");
  await takesOver(backup, wanted);
});

test("a full table: status names it, and the rest follows once there is room", async () => {
  await using lab = await Lab.create();
  const sides = await makeSides(lab, LIVE);
  const [primary, backup] = sides;
  for (const { namespace } of sides)
    await namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  await start(primary);
  await generate(primary, "--count", String(FLOWS));
  const before = await flowsMax();
  limit(lab, ROOM);
  const daemon = await start(backup);
  const refused = async (): Promise<boolean> => {
    const { apply } = await statusOf(backup);
    return apply.standing + apply.failing >= FLOWS;
  };
  await until(refused, DEADLINE_MS, "the kernel has taken or refused each");
  const { apply } = await statusOf(backup);
  expect(apply.refusals).toMatchObject([
    { errno: "ENOMEM", reason: expect.stringContaining("the conntrack table is full") },
  ]);
  expect(apply.standing).toBeWithin(ROOM - 10, ROOM + 1); // The machine's own few count too.
  expect(await daemon.succeed("status")).toMatch(
    /refuses 5,0\d\d flows of the peer: ENOMEM, the conntrack table is full/,
  );

  limit(lab, before);
  await same(primary, backup, 40_000);
  expect((await statusOf(backup)).apply).toMatchObject({ failing: 0, standing: FLOWS });
});
