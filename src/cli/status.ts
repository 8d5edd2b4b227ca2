import { defineCommand } from "citty";
import type { StatusReport } from "../report.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { statusScreen } from "./support/status-screen.ts";
import { strict } from "./support/strict.ts";
import { fail, wrongUse } from "./support/terminal.ts";
import { watch } from "./support/watch.ts";

const args = {
  json: { type: "boolean", description: "One JSON object, for programs" },
  watch: { type: "boolean", description: "Again each second, until it is interrupted" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: { name: "status", description: "Show role, peer, caches and counters of the daemon" },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const { json } = context.args;
    if (context.args.watch) {
      if (json) return wrongUse("status", "give one of --watch and --json");
      return watch(async () => {
        const response = await read(context.args, "status", WATCH_SILENCE_SECONDS);
        if (!response.ok) return `ctsync status: ${response.error}`;
        return statusScreen((await response.value.json()) as StatusReport);
      });
    }
    const response = await read(context.args, "status");
    if (!response.ok) return fail(`ctsync status: ${response.error}`);
    const text = await response.value.text();
    const status = JSON.parse(text) as StatusReport;
    console.log(json ? text.trimEnd() : statusScreen(status));
    if (status.splitBrain) fail("ctsync status: split brain: this node and its peer are both master");
  },
});

const WATCH_SILENCE_SECONDS = 2;
