import { defineCommand } from "citty";
import { readLinkKeys } from "../config/key-file.ts";
import { loadConfig } from "../config/load.ts";
import { configOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = configOptions;

export default defineCommand({
  meta: {
    name: "config check",
    description: `Report every mistake in the configuration file

One line a mistake: file, path, what is wrong, and the value found. Key files are read too. Exit status 1 when there is
any.`,
  },
  args,
  run(context) {
    if (!strict(context, args)) return;
    const config = loadConfig(context.args.config);
    if (!config.ok) return fail(config.error.join("\n"));
    const faults = config.value.links.flatMap(({ keyFile }, i) => {
      const keys = keyFile === "" ? undefined : readLinkKeys(keyFile);
      return keys?.ok === false ? [`${context.args.config}: link[${i}].key_file: ${keys.error}`] : [];
    });
    if (faults.length > 0) return fail(faults.join("\n"));
    console.log(`${context.args.config}: no mistakes`);
  },
});
