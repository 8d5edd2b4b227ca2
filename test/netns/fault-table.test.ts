/** The backup's conntrack table is full when it takes over: what fits is there, and the status says how much is not, and why. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { compareLines } from "../lab/compare.ts";
import { Lab } from "../lab/lab.ts";
import { insert, kernelFlows, startPair, statusOf } from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, notify, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

const SETTING = "net.netfilter.nf_conntrack_max";
const FLOWS = 25_000;
/** More than other labs on the machine need, since the setting is the machine's. */
const ROOM = 20_000;

test("a full table takes what it can; the status names the rest and the reason; with more room the next takeover is whole", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  const [primary, backup] = sides;
  const [daemon, survivor] = await startPair(sides);
  insert(primary, mixedFlows(0, FLOWS));
  await converged(primary, backup);
  const wanted = kernelFlows(primary);
  const before = Number(await Bun.file("/proc/sys/net/netfilter/nf_conntrack_max").text());

  lab.machineSysctl(SETTING, ROOM);
  const { steps } = await notify(backup, "master");
  lab.machineSysctl(SETTING, before);
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
