import { defineCommand } from "citty";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = clientOptions;

export default defineCommand({
  meta: {
    name: "request",
    description: `Ask the peer for its whole internal cache

Returns when it has arrived in the external cache here.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "request", {});
    if (!reply.ok) return fail(`ctsync request: ${reply.error}`);
    console.log(`received ${counted(reply.value.received, "flow")} from the peer`);
  },
});
