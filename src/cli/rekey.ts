import { defineCommand } from "citty";
import { keysIn, readSecret } from "../config/key-file.ts";
import { loadConfig } from "../config/load.ts";
import { order } from "./support/control.ts";
import { clientOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { fail } from "./support/terminal.ts";

const args = {
  force: { type: "boolean", description: "Take them even if the peer still sends with a key that is not among them" },
  ...clientOptions,
} as const;

export default defineCommand({
  meta: {
    name: "rekey",
    description: `Have the daemon take the keys that are in the key file now

It goes on without a pause: the first key is sent with from the next datagram on, each is accepted. "ctsync keygen --help"
has the steps of a change.`,
  },
  args,
  async run(context) {
    if (!strict(context, args)) return;
    const config = loadConfig(context.args.config);
    if (!config.ok) return fail(config.error.join("\n"));
    const [{ keyFile }] = config.value.links;
    if (keyFile === "") return fail(`ctsync rekey: ${context.args.config} names no link.key_file`);
    // Read here, by root: the daemon's user may not, and what systemd gave it at its start stays as it was.
    const text = readSecret(keyFile);
    if (!text.ok) return fail(`ctsync rekey: ${text.error}`);
    const keys = keysIn(text.value, keyFile);
    if (!keys.ok) return fail(`ctsync rekey: ${keys.error}`);
    const reply = await order(context.args, "rekey", { keys: text.value, force: context.args.force === true });
    if (!reply.ok) return fail(`ctsync rekey: ${reply.error}`);
    const { key, accepted } = reply.value;
    console.log(`sends with key ${key}, accepts ${accepted.join(" and ")}`);
  },
});
