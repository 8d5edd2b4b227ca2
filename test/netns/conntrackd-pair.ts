/**
 * A pair of firewalls, one of them run by the real conntrackd, between two hosts; what stands in a kernel or a cache; and
 * waiting until the backup's external cache is what the primary's internal one is.
 *
 *   a ── 10.1.0.0/24, 2001:db8:1::/64 ── primary ── 10.2.0.0/24, 2001:db8:2::/64 ── b
 *                                           ┃ 10.0.9.0/24, the sync link
 *                                        backup
 */
import type * as f from "../../src/flow/flow.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { inside } from "../lab/enter.ts";
import { asCarried, type FlowLine, flowTexts, parseFlowLine } from "../lab/flow-line.ts";
import type { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { type Program, type SyncLink, type SyncNode, startNode } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";
import { unwrap } from "./kernel-table.ts";

export const SYNC = "eth2";
/** Longer than reliable mode needs to repair a link that lost much: its timers are of one second. */
const CONVERGE_DEADLINE_MS = 15_000;

/** The same on both firewalls: only there can a taken-over flow have its labels and its helper. */
const RULES = `
table inet mix {
  ct helper ftp-helper { type "ftp" protocol tcp; l3proto ip; }
  chain zones {
    type filter hook prerouting priority -300;
    udp dport 7001 ct zone set 7
    udp sport 7001 ct zone set 7
  }
  chain forward {
    type filter hook forward priority 0;
    tcp dport 21 ct helper set "ftp-helper"
    udp dport 7004 ct mark set 0x2a
    udp dport 7005 ct label set 33
    ct state new accept
  }
  chain translate-destination {
    type nat hook prerouting priority -100;
    ip daddr 198.51.100.80 tcp dport 8080 dnat ip to 10.2.0.2:80
    ip daddr 198.51.100.80 udp dport 53 dnat ip to 10.2.0.2:7053
    ip6 daddr 2001:db8:64::80 tcp dport 8080 dnat ip6 to [2001:db8:2::2]:80
  }
  chain translate-source {
    type nat hook postrouting priority 100;
    ip saddr 10.1.0.2 tcp dport { 21, 8443 } snat ip to 198.51.100.200
    ip saddr 10.1.0.2 ip daddr 10.2.0.3 snat ip to 198.51.100.200
    ip6 saddr 2001:db8:1::2 tcp dport 8443 snat ip6 to [2001:db8:64::200]:6000-6999
  }
}
`;

export interface Pair {
  readonly a: Namespace;
  readonly b: Namespace;
  readonly primary: SyncNode;
  readonly backup: SyncNode;
}

/** Which program is primary, and which backup. */
export const BOTH_WAYS_ROUND: readonly (readonly [primary: Program, backup: Program])[] = [
  ["conntrackd", "ctsync"],
  ["ctsync", "conntrackd"],
];

/** Builds the machines and starts both programs; returns once ctsync has heard conntrackd. */
export async function startPair(
  lab: Lab,
  [primary, backup]: readonly [Program, Program],
  sync: NonNullable<SyncLink["sync"]> = {},
): Promise<Pair> {
  const [a, b] = [await lab.namespace("a"), await lab.namespace("b")];
  const [left, right] = [await lab.namespace("primary"), await lab.namespace("backup")];
  const end = (namespace: Namespace, name: string, ...addresses: string[]) => ({
    namespace,
    interface: name,
    addresses,
  });
  await lab.link(
    end(a, "eth0", "10.1.0.2/24", "2001:db8:1::2/64"),
    end(left, "eth0", "10.1.0.1/24", "2001:db8:1::1/64"),
  );
  await lab.link(
    end(b, "eth0", "10.2.0.2/24", "10.2.0.3/24", "2001:db8:2::2/64"),
    end(left, "eth1", "10.2.0.1/24", "2001:db8:2::1/64"),
  );
  await lab.link(end(left, SYNC, "10.0.9.1/24"), end(right, SYNC, "10.0.9.2/24"));
  await a.ip("route add default via 10.1.0.1", "route add default via 2001:db8:1::1");
  await b.ip("route add default via 10.2.0.1", "route add default via 2001:db8:2::1");
  for (const namespace of [left, right]) {
    await namespace.sysctl({ "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 });
    await namespace.nft(RULES);
  }
  const ignoreAddresses = ["10.1.0.1", "10.2.0.1", "2001:db8:1::1", "2001:db8:2::1"];
  const ends = { interface: SYNC, ignoreAddresses, sync };
  const pair = {
    a,
    b,
    primary: await startNode(primary, left, { ...ends, local: "10.0.9.1", peer: "10.0.9.2" }),
    backup: await startNode(backup, right, { ...ends, local: "10.0.9.2", peer: "10.0.9.1" }),
  };
  await greeted(pair);
  return pair;
}

/** Waits until ctsync has heard conntrackd, and got all it asked for. */
async function greeted({ primary, backup }: Pair): Promise<void> {
  const both = async () => (await primary.isReady()) && (await backup.isReady());
  await until(both, CONVERGE_DEADLINE_MS, "ctsync and conntrackd have greeted each other");
}

/** The firewalls' own flows, which neither program synchronises: the sync link's among them. */
const isOwn = ({ orig, reply }: FlowLine): boolean =>
  /=(10\.0\.9\.|127\.|fe80:|10\.[12]\.0\.1 )/.test(`${orig} ${reply} `);

/** The kernel's table as conntrack(8) prints it: an oracle that shares nothing with either program. */
export async function kernelLines(namespace: Namespace): Promise<FlowLine[]> {
  const flows: FlowLine[] = [];
  for (const family of ["ipv4", "ipv6"]) {
    const text = await namespace.run(["conntrack", "-L", "-f", family]);
    flows.push(...text.split("\n").filter(Boolean).map(parseFlowLine));
  }
  return flows.filter((flow) => !isOwn(flow));
}

/** What `to` must hold of the flows of `from`; conntrackd prints no reply tuple of what it learnt. */
function expectedExternal(flows: readonly FlowLine[], to: Program): string[] {
  const carried = flows.map(asCarried);
  const shown = to === "conntrackd" ? carried.map((flow) => ({ ...flow, reply: "" })) : carried;
  return [...new Set(flowTexts(shown))];
}

/** Waits until the primary's internal cache is its kernel's table, and the backup's external cache what that carries. */
export async function converged({ primary, backup }: Pair, deadlineMs = CONVERGE_DEADLINE_MS): Promise<void> {
  let difference = "";
  const same = async (): Promise<boolean> => {
    const kernel = await kernelLines(primary.namespace);
    const external = flowTexts(await backup.external());
    const internal = flowTexts(await primary.internal());
    difference =
      differences(`kernel of ${primary.program}`, flowTexts(kernel), "its internal cache", internal) ||
      differences(
        `kernel of ${primary.program}`,
        expectedExternal(kernel, backup.program),
        `external cache of ${backup.program}`,
        external,
      );
    return difference === "";
  };
  try {
    await until(same, deadlineMs, "the caches are equal");
  } catch (error) {
    throw new Error(`${error}\n${difference}`);
  }
}

/** Lines that only one of the two has, at most 20; empty when they are the same. */
function differences(leftName: string, left: readonly string[], rightName: string, right: readonly string[]): string {
  if (Bun.deepEquals(left, right)) return "";
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  const only = (name: string, lines: readonly string[], other: Set<string>) =>
    lines.filter((line) => !other.has(line)).map((line) => `only in ${name}: ${line}`);
  const lines = [...only(leftName, left, inRight), ...only(rightName, right, inLeft)];
  const counts = `${leftName}: ${left.length} flows; ${rightName}: ${right.length}`;
  return [counts, ...lines.slice(0, 20)].join("\n");
}

/** Puts flows into the kernel as if packets had made them; masters first. */
export function insert(namespace: Namespace, flows: readonly f.Flow[], timeoutSeconds = 300): void {
  const commit = inside(namespace, () => unwrap(KernelCommit.open()));
  for (const flow of flows) {
    commit.add(flow, 0, timeoutSeconds);
    if (commit.flush() > 0) throw new Error(`the kernel refused a flow: errno ${commit.refusedErrno(0)}`);
  }
  commit.close();
}

export function remove(namespace: Namespace, flows: readonly f.Flow[]): void {
  const deletes = inside(namespace, () => unwrap(KernelDelete.open()));
  for (const flow of flows) {
    deletes.add(flow, 0);
    if (deletes.flush() > 0) throw new Error(`the kernel has no such flow: errno ${deletes.refusedErrno(0)}`);
  }
  deletes.close();
}
