import { defineCommand } from "citty";
import { nearest } from "../config/nearest.ts";
import { read } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { pipeToStdout } from "./support/stdout.ts";
import { strict } from "./support/strict.ts";
import { fail, wrongUse } from "./support/terminal.ts";

const args = {
  internal: { type: "boolean", description: "The internal cache: flows of this kernel" },
  external: { type: "boolean", description: "The external cache: flows learnt from the peer" },
  expect: { type: "boolean", description: "Expectations instead of flows" },
  format: {
    type: "string",
    valueHint: "text|json",
    description: "One line, or one JSON object, each",
    default: "text",
  },
  ...clientOptions,
} as const;

const FORMATS = ["text", "json"];

export default defineCommand({
  meta: {
    name: "dump",
    description: `Print a cache, one line a flow or expectation

Exactly one of --internal and --external must be given.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const { internal, external, expect, format } = context.args;
    if (internal === external) return wrongUse("dump", "give exactly one of --internal and --external");
    if (!FORMATS.includes(format)) {
      const near = nearest(format, FORMATS);
      const advice = near === undefined ? `the formats are ${FORMATS.join(" and ")}` : `did you mean "${near}"?`;
      return wrongUse("dump", `unknown format "${format}", ${advice}`);
    }
    const [cache, of] = [internal ? "internal" : "external", expect ? "expectations" : "flows"];
    const response = await read(context.args, `dump?cache=${cache}&format=${format}&of=${of}`);
    if (!response.ok) return fail(`ctsync dump: ${response.error}`);
    const error = await pipeToStdout(response.value);
    if (error !== undefined) fail(`ctsync dump: ${error}`);
  },
});
