import { defineCommand } from "citty";
import { nearest } from "../config/nearest.ts";
import type { FlushTarget } from "../report.ts";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail, wrongUse } from "./support/terminal.ts";

const args = {
  what: {
    type: "positional",
    required: false,
    valueHint: "[internal|external|kernel]",
    description: "What to empty; both caches when nothing is named",
  },
  internal: { type: "boolean", description: "Empty the internal cache: flows of this kernel" },
  external: { type: "boolean", description: "Empty the external cache: flows learnt from the peer" },
  kernel: { type: "boolean", description: "Empty the kernel's table, ignored addresses excepted: connections end" },
  ...clientOptions,
} as const;

const TARGETS = ["internal", "external", "kernel"] as const;
const NAMES: Readonly<Record<FlushTarget, string>> = {
  internal: "the internal cache",
  external: "the external cache",
  kernel: "the kernel's table",
  caches: "both caches",
};

export default defineCommand({
  meta: { name: "flush", description: "Empty a cache, or the kernel's table" },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const word = context.args.what;
    const named: string[] = TARGETS.filter((target) => context.args[target] === true);
    if (word !== undefined) named.push(word);
    if (named.length > 1) return wrongUse("flush", `name one of ${TARGETS.join(", ")}, or nothing for both caches`);
    const what = named.length === 0 ? "caches" : TARGETS.find((target) => target === named[0]);
    if (what === undefined) {
      const near = nearest(named[0], TARGETS);
      const advice = near === undefined ? `what can be emptied is ${TARGETS.join(", ")}` : `did you mean "${near}"?`;
      return wrongUse("flush", `unexpected "${named[0]}", ${advice}`);
    }
    const reply = await order(context.args, "flush", { what });
    if (!reply.ok) return fail(`ctsync flush: ${reply.error}`);
    console.log(`removed ${counted(reply.value.removed, "flow")} from ${NAMES[what]}`);
  },
});
