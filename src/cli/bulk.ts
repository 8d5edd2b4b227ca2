import { defineCommand } from "citty";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = clientOptions;

export default defineCommand({
  meta: {
    name: "bulk",
    description: `Send the whole internal cache to the peer

Returns when the peer has acknowledged all of it, and fails when it does not.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "bulk", {});
    if (!reply.ok) return fail(`ctsync bulk: ${reply.error}`);
    const { sent, unreachable } = reply.value;
    console.log(`sent ${counted(sent, "flow")}`);
    if (unreachable.length > 0) fail(`ctsync bulk: no acknowledgement from ${unreachable.join(", ")}`);
  },
});
