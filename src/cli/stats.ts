import { defineCommand } from "citty";
import type { Counters, StatusReport } from "../report.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = {
  json: { type: "boolean", description: "One JSON object, for programs" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "stats",
    description: `Show every counter of the daemon, by subject

A line a counter, zeros too: SUBJECT.NAME and how often since the start of the daemon.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const response = await read(context.args, "status");
    if (!response.ok) return fail(`ctsync stats: ${response.error}`);
    const { counters } = (await response.value.json()) as StatusReport;
    console.log(context.args.json ? JSON.stringify(counters) : countersText(counters));
  },
});

function countersText(counters: Counters): string {
  const rows = Object.entries(counters).flatMap(([subject, counts]) =>
    Object.entries(counts).map(([name, count]) => [`${subject}.${name}`, String(count)] as const),
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  const digits = Math.max(...rows.map(([, count]) => count.length));
  return rows.map(([name, count]) => `${name.padEnd(width)}  ${count.padStart(digits)}`).join("\n");
}
