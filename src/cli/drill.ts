import { defineCommand } from "citty";
import type { DrillReport, StatusReport } from "../report.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { clearProgress, showProgress } from "./support/progress.ts";
import { strict } from "./support/strict.ts";
import { counted, fail, grouped } from "./support/terminal.ts";
import { durationText } from "./support/units.ts";

const args = {
  json: { type: "boolean", description: "One JSON object, for programs" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "drill",
    description: `Rehearse a takeover, without touching anything

Commits the external cache into an empty network namespace, and says what would survive, how long it took, and what the
kernel refuses and why. The kernel's own table is not touched, the peer hears nothing, and the namespace is gone when the
command ends, or is broken off. Needs root. Exit status 1 when a flow would be lost.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const status = await read(context.args, "status");
    if (!status.ok) return fail(`ctsync drill: ${status.error}`);
    const { external } = (await status.value.json()) as StatusReport;
    const dump = await read(context.args, "dump?cache=external&format=words");
    if (!dump.ok) return fail(`ctsync drill: ${dump.error}`);
    const { drill } = await import("../daemon/drill.ts");
    const words = dump.value.body ?? new ReadableStream<Uint8Array>();
    const drilled = await drill({ flows: external, words, rules: labelRules(), progress: showProgress });
    clearProgress();
    if (!drilled.ok) return fail(`ctsync drill: ${drilled.error}`);
    console.log(context.args.json ? JSON.stringify(drilled.value) : drillText(drilled.value));
    if (drilled.value.refused > 0) process.exitCode = 1;
  },
});

/** Entries keep labels only where a rule uses some; so the rehearsal has one if this machine has. */
function labelRules(): string {
  const uses = [["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"]].some((argv) => {
    try {
      return /\bct label\b|\bconnlabel\b/.test(Bun.spawnSync(argv, { stderr: "ignore" }).stdout.toString());
    } catch {
      return false; // The program is not there, so no rule was made with it.
    }
  });
  if (!uses) return "";
  return "table inet drill { chain labels { type filter hook forward priority 0; ct label set 0; }; }";
}

function drillText(report: DrillReport): string {
  const { flows, survive, refused, refusals, lessened, milliseconds, stands, table } = report;
  const rate =
    milliseconds > 0 && flows > 100 ? `, ${grouped(Math.round((flows / milliseconds) * 1_000))} a second` : "";
  return [
    `${grouped(survive)} of ${counted(flows, "flow")} would survive a takeover now, ${grouped(refused)} would be lost`,
    `the commit took ${durationText(milliseconds)}${rate}; ${grouped(stands)} entries stood in the table afterwards`,
    ...refusals.map(({ count, reason, errno }) => `lost: ${counted(count, "flow")}: ${reason} (${errno})`),
    ...lessened.map(({ count, without }) => `lessened: ${counted(count, "flow")} without ${without}`),
    `the kernel's own table holds ${grouped(table.count)} of at most ${grouped(table.max)} flows, and was not touched`,
    ...report.notRehearsed.map((what) => `not rehearsed: ${what}`),
  ].join("\n");
}
