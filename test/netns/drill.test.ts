/** ctsync drill: what it says of a takeover, and that nothing else knows of it. */

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../../src/flow/status.ts";
import type { DrillReport } from "../../src/report.ts";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, makeSides, replicated, type Sides, start, startPair, statusOf } from "./daemon-pair.ts";
import { table } from "./kernel-table.ts";
import { flowOf, type Wanted } from "./kernel-traffic.ts";
import { ScriptedPeer } from "./scripted-peer.ts";

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;
let primary: Daemon;
let backup: Daemon;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab);
  for (const { namespace } of sides)
    await namespace.nft(
      `table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}\n${UNTRACKED_LINK}`,
    );
  [primary, backup] = await startPair(sides);
});
afterEach(() => lab[Symbol.asyncDispose]());

/** The link's own datagrams are no connections: what the kernels' tables hold is what a test put there. */
const UNTRACKED_LINK = `table inet raw {
  chain link_in { type filter hook prerouting priority raw; udp dport 3780 notrack; }
  chain link_out { type filter hook output priority raw; udp dport 3780 notrack; }
}`;
const SOURCE_NAT = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
const tcp = (source: number, more: Partial<Wanted> = {}): Wanted => ({ l4proto: 6, source, state: 3, ...more });
const many = (count: number): Wanted[] =>
  Array.from({ length: count }, (_, i) => tcp(1 + (i >> 12), { ports: f.portsWord(1_024 + (i & 4_095), 80) }));

/** Every entry of the kernel's table, all its bytes but the time that is left. */
function untimed(): string[] {
  return table(sides[1].namespace)
    .map((words) => words.with(f.TIMEOUT, 0).join(" "))
    .sort();
}

/** Of the process's first thread; empty when it is gone. */
function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return "";
  }
}

async function drilled(): Promise<DrillReport> {
  return JSON.parse(await backup.succeed("drill", "--json")) as DrillReport;
}

/** What either daemon did and heard, as far as flows go. */
async function heard() {
  const [there, here] = [await statusOf(sides[0]), await statusOf(sides[1])];
  return {
    ...{ events: here.kernel.events, committed: here.counters.kernel?.committed, external: here.external },
    ...{
      sent: here.counters.wire?.flowsSent,
      peerReceived: there.counters.wire?.flowsReceived,
      peer: there.kernel.events,
    },
  };
}

describe("a drill", () => {
  test("commits every flow elsewhere: the live table stays byte for byte, and nobody hears a word", async () => {
    const flows = [tcp(90, { ipv6: true }), tcp(91, { replyDestination: 100, status: SOURCE_NAT }), ...many(3_000)];
    insert(sides[0], flows.map(flowOf), 1_000);
    // What stands here is this machine's own; a drill that missed its namespace would change the first of them.
    insert(sides[1], [flowOf(tcp(90, { ipv6: true, mark: 5 })), flowOf(tcp(92))], 1_000);
    await replicated(sides[0], sides[1]);
    const [before, quiet] = [untimed(), await heard()];
    expect(before).toHaveLength(2);

    const report = await drilled();
    expect(report).toMatchObject({
      flows: flows.length,
      survive: flows.length,
      refused: 0,
      refusals: [],
      lessened: [],
    });
    expect(report.stands).toBe(flows.length);
    expect(report.table.count).toBe(2);
    expect(untimed()).toEqual(before);
    expect(await heard()).toEqual(quiet);
    expect(await backup.succeed("drill")).toContain(
      "3,002 of 3002 flows would survive a takeover now, 0 would be lost",
    );
  });

  test("says what would be lost and why, and what would be committed in part; exit status 1", async () => {
    for (const daemon of [primary, backup]) await daemon.stop();
    backup = await start(sides[1]);
    using peer = new ScriptedPeer(sides[0].namespace, 0x0a000901, 0x0a000902);
    const translated = { replyDestination: 100, replyPorts: f.portsWord(80, 5000), status: SOURCE_NAT };
    peer.tell(...[tcp(1, translated), tcp(2, translated), tcp(3, { helper: "nosuch" })].map(flowOf));
    await until(async () => (await statusOf(sides[1])).external === 3, DEADLINE_MS, "the flows are learnt");
    const { status, stdout } = await backup.command("drill");
    expect(status).toBe(1);
    expect(stdout).toContain("2 of 3 flows would survive a takeover now, 1 would be lost");
    expect(stdout).toContain("lost: 1 flow: another flow has its reply tuple (EEXIST)");
    expect(stdout).toContain("lessened: 1 flow without helper");
  });

  test("is refused in a sentence where the machine's limit leaves no room, before anything is tried", async () => {
    insert(sides[0], many(300).map(flowOf), 1_000);
    await replicated(sides[0], sides[1]);
    await using full = await Lab.create();
    full.machineSysctl("net.netfilter.nf_conntrack_max", 290);
    const { status, stdout, stderr } = await backup.command("drill");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /^ctsync drill: the kernel's table holds \d+ of at most 290 flows, so 300 more would not fit/,
    );
  });

  test("that is broken off leaves no namespace behind", async () => {
    insert(sides[0], many(20_000).map(flowOf), 1_000);
    await until(async () => (await statusOf(sides[1])).external === 20_000, DEADLINE_MS, "the flows are learnt");
    const before = untimed();
    const drill = sides[1].namespace.spawn([CTSYNC, "drill", "--config", sides[1].config]);
    const others = ["", namespaceOf(process.pid), namespaceOf(backup.process.pid)];
    const left = () => !others.includes(namespaceOf(drill.pid)) && namespaceOf(drill.pid);
    const own = await until(left, DEADLINE_MS, "it is in a namespace of its own", 1);
    drill.kill("SIGINT");
    await drill.exited;
    expect(readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && namespaceOf(Number(pid)) === own)).toEqual([]);
    expect(untimed()).toEqual(before);
  });
});
