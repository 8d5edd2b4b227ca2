/** What becomes of flows at commit: those that stand already, those that this kernel takes only in part, and those it refuses. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../../src/flow/status.ts";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, kernelFlows, makeSides, type Side, type Sides, start, statusOf } from "./daemon-pair.ts";
import { findEntry, table } from "./kernel-table.ts";
import { flowOf, PORTS, type Wanted } from "./kernel-traffic.ts";
import { ScriptedPeer } from "./scripted-peer.ts";

setDefaultTimeout(60_000);

const [OURS, PEERS] = [0x0a000901, 0x0a000902];
let lab: Lab;
let sides: Sides;
let side: Side;
let daemon: Daemon;
let peer: ScriptedPeer;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab);
  side = sides[0];
  // NAT and helpers need their parts of the kernel.
  await side.namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  daemon = await start(side);
  peer = new ScriptedPeer(sides[1].namespace, PEERS, OURS);
});
afterEach(async () => {
  peer[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});

async function learn(...wanted: readonly Wanted[]): Promise<f.Flow[]> {
  const flows = wanted.map(flowOf);
  peer.tell(...flows);
  await until(async () => (await statusOf(side)).external === flows.length, DEADLINE_MS, "the flows are learnt");
  return flows;
}

const SOURCE_NAT = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
const tcp = (source: number, more: Partial<Wanted> = {}): Wanted => ({ l4proto: 6, source, state: 3, ...more });

/** The kernel's entries by conntrack(8), as "source address → id". */
async function identities(): Promise<Map<string, string>> {
  const text = await side.namespace.run(["conntrack", "-L", "-o", "id"]);
  const entries = text.matchAll(/ src=(10\.0\.0\.\d+) .* id=(\d+)/g);
  return new Map(Array.from(entries, ([, source, id]) => [source!, id!]));
}

test("flows that stand are updated in place, whatever NAT they have: the same entry, with the peer's timeout and mark", async () => {
  const standing = [
    tcp(1),
    tcp(2, { replyDestination: 100, status: SOURCE_NAT }),
    { l4proto: 17, source: 3 },
    tcp(4, { ipv6: true }),
  ];
  insert(side, standing.map(flowOf), 30);
  await until(async () => (await statusOf(side)).internal === 4, DEADLINE_MS, "the flows are seen");
  const before = await identities();
  expect(before.size).toBe(3);
  const flows = await learn(...standing.map((wanted) => ({ ...wanted, mark: 7 })), tcp(5));

  const outcome = await daemon.command("commit");
  expect(outcome).toEqual({
    status: 0,
    stdout: "committed 5 flows (4 already in the kernel, updated in place)\n",
    stderr: "",
  });
  const after = await identities();
  for (const [source, id] of before) expect([source, after.get(source)]).toEqual([source, id]);
  expect(after.size).toBe(4);
  for (const [i, flow] of flows.entries()) {
    const entry = findEntry(table(side.namespace), flow);
    expect(entry[f.MARK]).toBe(i < 4 ? 7 : 0);
    expect(entry[f.TIMEOUT]).toBeWithin(270, 301);
  }
  expect((await statusOf(side)).external).toBe(5);
  // Once more: nothing changes, nothing fails.
  expect(await daemon.command("commit")).toMatchObject({ status: 0, stderr: "" });
  expect(await identities()).toEqual(after);
});

test("a related flow whose master is gone goes on without it, and one whose master comes with it keeps it", async () => {
  const [, , orphan] = await learn(
    tcp(1),
    tcp(1, { ports: f.portsWord(2000, 3000), master: [1, PORTS] }),
    tcp(2, { ports: f.portsWord(2000, 3000), master: [99, PORTS] }),
  );
  const outcome = await daemon.command("commit");
  expect(outcome).toEqual({
    status: 0,
    stdout: "committed 3 flows\n1 flow without master, which this kernel does not have\n",
    stderr: "",
  });
  const entries = table(side.namespace).map((words) => (words[f.HAS]! & f.HAS_MASTER) !== 0);
  expect(entries.filter(Boolean)).toHaveLength(1);
  expect(findEntry(table(side.namespace), orphan!)[f.TIMEOUT]).toBeGreaterThan(200);
});

test("a helper that this machine lacks: the flow goes on without it", async () => {
  const flows = await learn(tcp(1, { helper: "nosuch" }), tcp(2, { helper: "nosuch" }), tcp(3));
  const outcome = await daemon.command("commit");
  expect(outcome).toEqual({
    status: 0,
    stdout: "committed 3 flows\n2 flows without helper, which this kernel does not have\n",
    stderr: "",
  });
  for (const flow of flows) expect(findEntry(table(side.namespace), flow)[f.HAS]! & f.HAS_HELPER).toBe(0);
});

test("a flow whose reply tuple is taken is refused with the reason, exit status 1, and the others are committed", async () => {
  const translated = { replyDestination: 100, replyPorts: f.portsWord(80, 5000), status: SOURCE_NAT };
  insert(side, [flowOf(tcp(1, translated))]);
  await learn(tcp(2, translated), tcp(3), tcp(4));
  const outcome = await daemon.command("commit");
  expect(outcome).toEqual({
    status: 1,
    stdout: "committed 2 flows, 1 refused\n",
    stderr:
      "refused 1 flow: another flow has its reply tuple (EEXIST)\n" +
      "ctsync commit: 1 of 3 flows could not be committed\n",
  });
  expect(kernelFlows(side)).toHaveLength(3);
  expect((await statusOf(side)).counters.kernel).toMatchObject({ refused: 1 });
});

test("a full table is said to be full; what stood is updated", async () => {
  const standing = Array.from({ length: 300 }, (_, i) => flowOf(tcp(5, { ports: f.portsWord(i + 1, 80) })));
  insert(side, standing);
  const others = Array.from({ length: 20 }, (_, i) => tcp(6, { ports: f.portsWord(i + 1, 80) }));
  await learn(tcp(5, { ports: f.portsWord(1, 80), mark: 9 }), ...others);
  let outcome: Awaited<ReturnType<Daemon["command"]>>;
  {
    await using full = await Lab.create();
    full.machineSysctl("net.netfilter.nf_conntrack_max", 290);
    outcome = await daemon.command("commit");
  }
  expect(outcome).toEqual({
    status: 1,
    stdout: "committed 1 flow (1 already in the kernel, updated in place), 20 refused\n",
    stderr:
      "refused 20 flows: the conntrack table is full. Raise net.netfilter.nf_conntrack_max (ENOMEM)\n" +
      "ctsync commit: 20 of 21 flows could not be committed\n",
  });
  expect(findEntry(table(side.namespace), standing[0]!)[f.MARK]).toBe(9);
  // Once there is room, the same command does the rest.
  expect((await daemon.command("commit")).status).toBe(0);
  expect(kernelFlows(side)).toHaveLength(320);
});
