import { defineCommand } from "citty";
import { loadConfig } from "../config/load.ts";
import { renderConfig } from "../config/render.ts";
import { configOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = configOptions;

export default defineCommand({
  meta: {
    name: "config show",
    description: `Show the effective settings, every default filled in

The output is a configuration file itself.`,
  },
  args,
  run(context) {
    if (!strict(context, args)) return;
    const config = loadConfig(context.args.config);
    if (!config.ok) return fail(config.error.join("\n"));
    process.stdout.write(renderConfig(config.value));
  },
});
