import { defineCommand } from "citty";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail } from "./support/terminal.ts";

const args = clientOptions;

export default defineCommand({
  meta: {
    name: "resync",
    description: `Read the kernel's table into the internal cache again

Flows the cache missed are added, changed ones updated, and dead ones removed; the peer is told of each.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const reply = await order(context.args, "resync", {});
    if (!reply.ok) return fail(`ctsync resync: ${reply.error}`);
    const { read, created, updated, removed } = reply.value;
    console.log(
      `read ${counted(read, "flow")} from the kernel: ${created} new, ${updated} updated, ${removed} removed`,
    );
  },
});
