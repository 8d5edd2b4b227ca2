import { defineCommand } from "citty";
import { configOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = configOptions;

export default defineCommand({
  meta: {
    name: "daemon",
    description: `Run the daemon in the foreground

It follows the kernel's connection tracking, replicates it to the peer, and keeps what the peer replicates. Runs under
systemd (Type=notify). Nothing starts on a configuration with mistakes; see: ctsync config check`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const { loadConfig } = await import("../config/load.ts");
    const config = loadConfig(context.args.config);
    if (!config.ok) return fail(config.error.join("\n"));
    const { runDaemon } = await import("../daemon/run.ts");
    process.exit(await runDaemon(config.value));
  },
});
