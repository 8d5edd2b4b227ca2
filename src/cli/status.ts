import { defineCommand } from "citty";
import type { StatusReport } from "../report.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { statusScreen } from "./support/status-screen.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = {
  json: { type: "boolean", description: "One JSON object, for programs" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: { name: "status", description: "Show role, peer, caches and counters of the daemon" },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const response = await read(context.args, "status");
    if (!response.ok) return fail(`ctsync status: ${response.error}`);
    const text = await response.value.text();
    console.log(context.args.json ? text.trimEnd() : statusScreen(JSON.parse(text) as StatusReport));
  },
});
