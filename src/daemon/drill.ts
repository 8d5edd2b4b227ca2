/**
 * A takeover rehearsed: the flows of the external cache are committed into an empty network namespace by the daemon's own
 * code, and what the kernel says of each is counted. Nothing of this machine's own namespace is touched, and nobody hears
 * of it: conntrack events stay in the namespace they are of. It runs in the command's process, which needs root for it; the
 * namespace ends with that process, whatever ends it (D-021).
 */
import { readFileSync } from "node:fs";
import { errnoName } from "../../ffi/errno.ts";
import { leaveForNewNetwork } from "../../ffi/namespace.ts";
import { ExternalCache } from "../cache/external.ts";
import { FlowHash } from "../cache/hash.ts";
import { InternalCache } from "../cache/internal.ts";
import { FLOW_WORDS, Flow } from "../flow/flow.ts";
import { KernelCommit } from "../kernel/commit.ts";
import { explain } from "../kernel/kernel-error.ts";
import type { DrillReport, ProgressLine } from "../report.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { monotonicMs } from "./clock.ts";
import { CommitRun } from "./work/commit-run.ts";

const FLOW_BYTES = FLOW_WORDS * 4;
/** What an entry of the kernel's table takes, with all its extensions, and a flow of ours here. */
const MEMORY_BYTES_A_FLOW = 1_024;
const SLICE_MS = 50;

export interface DrillOptions {
  /** Flows the external cache has, about. */
  readonly flows: number;
  /** The external cache as `dump?format=words` gives it. */
  readonly words: AsyncIterable<Uint8Array>;
  /** nftables rules for the namespace; empty: none. */
  readonly rules: string;
  readonly progress: (line: ProgressLine) => void;
}

export async function drill(options: DrillOptions): Promise<Result<DrillReport>> {
  const room = tableRoom();
  const refusal = noRoom(options.flows, room);
  if (refusal !== undefined) return refuse(refusal);
  const cache = await readFlows(options);
  if (!cache.ok) return cache;
  const left = leaveForNewNetwork();
  if (left < 0)
    return refuse(`cannot make a network namespace: the kernel answered ${errnoName(left)}. Run ctsync drill as root`);
  const notRehearsed = [
    "flows that already stand in this machine's table, which a takeover updates in place",
    "expectations",
  ];
  const ruled = loadRules(options.rules);
  if (ruled !== undefined) notRehearsed.push(`labels: ${ruled}`);
  else if (options.rules === "")
    notRehearsed.push("labels, if rules of this machine use any: none was found that does");
  const commit = KernelCommit.open();
  if (!commit.ok) return refuse(explain(commit.error));
  const run = await commitAll(cache.value, commit.value, options.progress);
  const report = run.report(NO_EXPECTATIONS);
  const stands = numberIn(COUNT_PATH);
  commit.value.close();
  return succeed({
    flows: cache.value.count,
    survive: report.committed,
    stands,
    refused: report.failed,
    refusals: report.failures,
    lessened: report.lessened,
    milliseconds: report.milliseconds,
    table: room,
    notRehearsed,
  });
}

async function commitAll(
  external: ExternalCache,
  commit: KernelCommit,
  progress: (line: ProgressLine) => void,
): Promise<CommitRun> {
  const internal = new InternalCache(1, new FlowHash(0, 0), 1);
  const run = new CommitRun({ commit, replica: { internal, external } });
  const total = external.count;
  for (let more = true; more; ) {
    const sliceEndMs = monotonicMs() + SLICE_MS;
    while (more && monotonicMs() < sliceEndMs) more = run.batch();
    progress({ progress: "rehearsing", done: run.done, total });
    await new Promise<void>((resolve) => setImmediate(resolve)); // ^C is heard in between.
  }
  return run;
}

const NO_EXPECTATIONS = { committed: 0, failed: 0, failures: [], orphaned: 0 };
const COUNT_PATH = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX_PATH = "/proc/sys/net/netfilter/nf_conntrack_max";

/** Of the namespace that this thread is in. */
function numberIn(path: string): number {
  return Number(readFileSync(path, "latin1"));
}

function tableRoom(): DrillReport["table"] {
  try {
    return { count: numberIn(COUNT_PATH), max: numberIn(MAX_PATH) };
  } catch {
    return { count: 0, max: 0 }; // nf_conntrack is not loaded; the commit loads it.
  }
}

/** Why it is not tried: the limit is the machine's, and so is the memory. */
function noRoom(flows: number, { count, max }: DrillReport["table"]): string | undefined {
  if (max > 0 && count + flows > max)
    return (
      `the kernel's table holds ${count} of at most ${max} flows, so ${flows} more would not fit, here or in a takeover ` +
      "(unless they stand there already). Nothing was tried. Raise net.netfilter.nf_conntrack_max"
    );
  const available =
    Number(/^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1] ?? 0) * 1_024;
  if (flows * MEMORY_BYTES_A_FLOW > available / 2)
    return `${flows} flows would take more than half of the ${available} bytes of memory that are free. Nothing was tried`;
  return undefined;
}

async function readFlows({ flows, words, progress }: DrillOptions): Promise<Result<ExternalCache>> {
  const flowsMax = Math.max(16, flows + 16_384); // It grows while it is read.
  const cache = new ExternalCache(flowsMax, new FlowHash(1, 2));
  const flow = new Flow();
  const bytes = new Uint8Array(flow.words.buffer);
  let filled = 0;
  for await (const chunk of words) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + FLOW_BYTES - filled);
      bytes.set(part, filled);
      filled = (filled + part.length) % FLOW_BYTES;
      at += part.length;
      if (filled === 0 && !cache.create(flow, monotonicMs()))
        return refuse(`the external cache grew beyond ${flowsMax} flows while it was read. Try again`);
    }
    progress({ progress: "reading", done: cache.count, total: flows });
  }
  if (filled !== 0) return refuse("the daemon broke off in the middle of a flow. See its log, then try again");
  return succeed(cache);
}

/** Why the rules are not there; undefined when they are, or none are wanted. */
function loadRules(rules: string): string | undefined {
  if (rules === "") return undefined;
  try {
    const nft = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(rules), stdout: "ignore", stderr: "pipe" });
    return nft.success ? undefined : `nft refused a rule that uses them (${nft.stderr.toString().split("\n")[0]})`;
  } catch {
    return "nft is not there to make a rule that uses them";
  }
}
