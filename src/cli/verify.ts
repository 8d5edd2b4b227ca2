import { defineCommand } from "citty";
import type { ExpectationDifference, FlowDifference, PeerVerdict, VerifyReport } from "../report-verify.ts";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = {
  json: { type: "boolean", description: "One JSON object, for programs" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "verify",
    description: `Compare the kernel's table, the internal cache, and the peer's external cache

Changes nothing. Exit status 0: in sync. 1: something differs, or it could not be found out; the first twenty flows and
expectations are named, with what differs. Each difference was seen twice, after every event of that time had been worked off. What a peer
holds is proven by digests, which a conntrackd, or a link without a key, does not exchange.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "verify", {});
    if (!reply.ok) return fail(`ctsync verify: ${reply.error}`);
    const report = reply.value;
    console.log(context.args.json ? JSON.stringify(report) : verdictText(report));
    if (!report.inSync) process.exitCode = 1;
  },
});

/** The verdict in lines: the kernel and the internal cache first, then each peer. */
function verdictText(report: VerifyReport): string {
  return [...kernelText(report), ...report.peers.map((peer) => peerText(peer, report))].join("\n");
}

const WORDS = {
  missing: "missing in the internal cache",
  changed: "different in the internal cache",
  dead: "in the internal cache, and no more in the kernel",
  timer: "with another timer in the internal cache",
} as const;

function kernelText({ flows, missing, changed, dead, timers, differences, expectations }: VerifyReport): string[] {
  const expected = expectations.missing + expectations.changed + expectations.dead;
  const others = kindsText(expectations, "expectation", expectations.differences);
  const total = missing + changed + dead + timers;
  if (total > 0) return [...kindsText({ missing, changed, dead, timer: timers }, "flow", differences), ...others];
  const what = expected > 0 ? counted(flows, "flow") : bothText(flows, expectations.count);
  return [`in sync: ${what}, the same in the kernel and in the internal cache`, ...others];
}

/** A line for each kind that is there, then each difference, then how many more there are. */
function kindsText(
  counts: Readonly<Partial<Record<FlowDifference["what"], number>>>,
  of: string,
  differences: readonly (FlowDifference | ExpectationDifference)[],
): string[] {
  const kinds = Object.keys(WORDS) as FlowDifference["what"][];
  const lines = kinds.flatMap((what) => (counts[what] ? [`differs: ${counted(counts[what], of)} ${WORDS[what]}`] : []));
  const rest = kinds.reduce((sum, what) => sum + (counts[what] ?? 0), -differences.length);
  const more = rest > 0 ? [`  and ${counted(rest, "more difference")}`] : [];
  return [...lines, ...differences.map(differenceText), ...more];
}

const bothText = (flows: number, expectations: number): string =>
  counted(flows, "flow") + (expectations === 0 ? "" : ` and ${counted(expectations, "expectation")}`);

function differenceText(difference: FlowDifference | ExpectationDifference): string {
  const { what, fields } = difference;
  const line = "flow" in difference ? difference.flow : difference.expectation;
  const told = fields.map(({ field, kernel, cache }) => `${field}: kernel ${kernel}, cache ${cache}`).join("; ");
  return `  ${what.padEnd(7)}  ${line}${told === "" ? "" : `\n           ${told}`}`;
}

function peerText(verdict: PeerVerdict, report: VerifyReport): string {
  const { address, state, differing, leftovers, dirty } = verdict;
  const here = bothText(verdict.flows, verdict.expectations);
  switch (state) {
    case "equal":
      return `in sync: ${here}, the same in the internal cache and at the peer ${address}`;
    case "leftovers":
      return `differs: the peer ${address} holds the ${here} here, and ${counted(leftovers, "flow")} that this node told before it started anew (they go after the peer's sync.purge_timeout_seconds)`;
    case "differs":
      return `differs: the peer ${address} holds something else than the ${bothText(report.flows, report.expectations.count)} here (${counted(differing, "part")} of its table)${dirty === null ? "" : `: ${dirty}`}`;
    case "silent":
      return `differs: the peer ${address} is not heard, so nobody knows what it holds`;
    case "unprovable":
      return `not known: the peer ${address} cannot prove what it holds, since the link has no key (it may be a conntrackd)`;
  }
}
