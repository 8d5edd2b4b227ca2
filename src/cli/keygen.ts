import { hostname } from "node:os";
import { defineCommand } from "citty";
import { keysIn, readSecret, writeSecret } from "../config/key-file.ts";
import { KEYS_MAX, keyFileText, type LinkKey, randomKey } from "../config/link-key.ts";
import { DEFAULT_KEY_PATH } from "../config/paths.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { strict } from "./support/strict.ts";
import { fail, wrongUse } from "./support/terminal.ts";

const args = {
  file: {
    type: "positional",
    required: false,
    valueHint: "[FILE]",
    description: `The key file (default: ${DEFAULT_KEY_PATH})`,
  },
  add: { type: "boolean", description: "Changing keys, first step: add a key, accepted but not used yet" },
  switch: { type: "boolean", description: "Second step: use the other key, and accept the one used so far" },
  drop: { type: "boolean", description: "Last step: remove the key that is not used" },
  force: { type: "boolean", description: "Put a new key in the place of a file that is there" },
} as const;

const STEPS = ["add", "switch", "drop"] as const;
type Step = (typeof STEPS)[number];

export default defineCommand({
  meta: {
    name: "keygen",
    description: `Make the key that seals the sync link, or change it step by step

The file is the same on both firewalls: make it on one, copy it to the other. A running daemon takes changed keys by
"ctsync rekey". To change them without losing anything: --add, copy, rekey on both; --switch, copy, rekey on both; --drop,
copy, rekey on both.`,
  },
  args,
  run(context) {
    if (!strict(context, args)) return;
    const path = context.args.file ?? DEFAULT_KEY_PATH;
    const steps = STEPS.filter((step) => context.args[step] === true);
    const [step] = steps;
    if (steps.length > 1) return wrongUse("keygen", `give one of ${steps.map((name) => `--${name}`).join(" and ")}`);
    if (step !== undefined && context.args.force === true) return wrongUse("keygen", `--${step} needs no --force`);
    const made = step === undefined ? make(path, context.args.force === true) : change(path, step);
    if (!made.ok) return fail(`ctsync keygen: ${made.error}`);
    console.log(made.value);
  },
});

const comment = (what: string): string => `${what} ${new Date().toISOString()} on ${hostname()}`;

function make(path: string, force: boolean): Result<string> {
  const key = randomKey();
  const written = writeSecret(path, keyFileText([key], comment("Made")), force ? "replace" : "new");
  if (!written.ok) {
    const isThere = written.error.endsWith("is there already");
    return isThere
      ? refuse(`${written.error}. To change its key use --add; to put a new one in its place, --force`)
      : written;
  }
  return succeed(`wrote key ${key.id} to ${path}
Copy it to the other firewall:  scp ${path} root@OTHER:${path}
On both, in [[link]] of ctsync.toml:  key_file = "${path}"
and restart ctsync. Datagrams without this key are refused from then on.`);
}

const DONE: Readonly<Record<Step, (used: string, other: string) => string>> = {
  add: (used, other) => `added key ${other}, accepted from now on; ${used} stays in use. Then: --switch`,
  switch: (used, other) => `key ${used} is the one to use, ${other} is still accepted. Then: --drop`,
  drop: (used, other) => `removed key ${other}; ${used} is the one key. That was the last step`,
};

function change(path: string, step: Step): Result<string> {
  const text = readSecret(path);
  const found = text.ok ? keysIn(text.value, path) : text;
  if (!found.ok) return found;
  const [used, other] = found.value;
  let keys: readonly LinkKey[];
  if (step === "add") {
    if (other !== undefined) return refuse(`${path} has ${KEYS_MAX} keys already: --switch or --drop comes next`);
    keys = [used, randomKey()];
  } else if (other === undefined) return refuse(`${path} has one key only: --add comes first`);
  else keys = step === "switch" ? [other, used] : [used];
  const written = writeSecret(path, keyFileText(keys, comment("Changed")), "replace");
  if (!written.ok) return written;
  const said = DONE[step](keys[0].id, (keys[1] ?? other ?? used).id);
  return succeed(`${path}: ${said}
Copy it to the other firewall:  scp ${path} root@OTHER:${path}
Then on both:  ctsync rekey`);
}
