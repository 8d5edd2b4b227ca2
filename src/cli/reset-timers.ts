import { defineCommand } from "citty";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = clientOptions;

export default defineCommand({
  meta: {
    name: "reset-timers",
    description: `Shorten the timers of the kernel's flows

A node that is primary no longer has flows that end elsewhere. They expire after sync.purge_timeout_seconds, unless
their traffic comes back here first.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "reset-timers", {});
    if (!reply.ok) return fail(`ctsync reset-timers: ${reply.error}`);
    const { shortened, failed, seconds } = reply.value;
    console.log(`shortened the timers of ${counted(shortened, "flow")} to ${counted(seconds, "second")}`);
    if (failed > 0) fail(`ctsync reset-timers: the kernel refused ${counted(failed, "flow")}`);
  },
});
