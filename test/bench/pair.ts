/**
 * The bench: a pair of nodes of one program, joined by a sync link. The primary's kernel is given flows, the backup's
 * external cache must have them.
 *
 *   primary ── eth2, 10.0.9.1 … 10.0.9.2 ── backup
 */
import { flushConntrack } from "../lab/conntrack.ts";
import { Lab } from "../lab/lab.ts";
import { type Ends, type MeasuredNode, makeNode, type NodeOptions } from "../lab/measured-node.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { Program } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";

export type { MeasuredNode, NodeOptions } from "../lab/measured-node.ts";

export const SYNC = "eth2";
/** conntrackd says something every second. */
const CONNECT_DEADLINE_MS = 10_000;
const FLOWS_MAX = 4_000_000;
/** The kernel's default is for a quarter of a million flows. All namespaces share one table: two million flows at times. */
const BUCKETS = 1_048_576;

export interface PairOptions {
  readonly primary?: NodeOptions;
  readonly backup?: NodeOptions;
  /** The backup is ready to be started, but is not. */
  readonly only?: "primary";
}

export interface Pair {
  readonly lab: Lab;
  readonly primary: MeasuredNode;
  readonly backup: MeasuredNode;
}

/** Builds the pair, waits until both have heard each other, lets `work` measure, and removes everything. */
export async function withPair<T>(
  program: Program,
  options: PairOptions,
  work: (pair: Pair) => Promise<T>,
): Promise<T> {
  return await withNamespaces(async (lab, left, right) => {
    const primary = await makeNode(program, left, ends(1, 2), options.primary);
    const backup = await makeNode(program, right, ends(2, 1), options.backup);
    const started = options.only === "primary" ? [primary] : [primary, backup];
    try {
      for (const node of started) await node.start();
      const heard = async () => (await primary.counts()).heard && (await backup.counts()).heard;
      if (started.length === 2) await until(heard, CONNECT_DEADLINE_MS, `two ${program} have heard each other`);
      return await work({ lab, primary, backup });
    } finally {
      for (const node of [primary, backup]) if (node.running) await node.stop("SIGKILL");
    }
  });
}

/** The two machines without a program, for whoever measures the kernel alone. */
export async function withNamespaces<T>(
  work: (lab: Lab, primary: Namespace, backup: Namespace) => Promise<T>,
): Promise<T> {
  await using lab = await Lab.create();
  lab.machineSysctl("net.netfilter.nf_conntrack_max", FLOWS_MAX);
  lab.machineSysctl("net.netfilter.nf_conntrack_buckets", BUCKETS);
  const primary = await lab.namespace("primary");
  const backup = await lab.namespace("backup");
  await lab.link(
    { namespace: primary, interface: SYNC, addresses: ["10.0.9.1/24"] },
    { namespace: backup, interface: SYNC, addresses: ["10.0.9.2/24"] },
  );
  for (const namespace of [primary, backup]) {
    await namespace.trackConnections();
    await namespace.nft(UNTRACKED);
  }
  try {
    return await work(lab, primary, backup);
  } finally {
    // Else the kernel frees the flows later, in the background, while the next reading is taken.
    for (const namespace of [primary, backup]) await flushConntrack(namespace);
  }
}

/** The link's own datagrams are no connection to track, as every installation has it. */
const UNTRACKED = `table inet link {
  chain in { type filter hook prerouting priority raw; iifname "${SYNC}" udp dport 3780 notrack; }
  chain out { type filter hook output priority raw; oifname "${SYNC}" udp dport 3780 notrack; }
}`;

function ends(own: number, other: number): Ends {
  return { interface: SYNC, local: `10.0.9.${own}`, peer: `10.0.9.${other}` };
}
