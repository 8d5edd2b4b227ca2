/**
 * Words of the command line: those of keepalived's notify script, and whole calls of every client command, with no daemon to
 * answer. Each ends with exit status 0, 1 or 2, and says why on lines of its own.
 */
import { defineCommand } from "citty";
import bulk from "../../src/cli/bulk.ts";
import commit from "../../src/cli/commit.ts";
import config from "../../src/cli/config.ts";
import dump from "../../src/cli/dump.ts";
import flush from "../../src/cli/flush.ts";
import notify, { parseNotify } from "../../src/cli/notify.ts";
import request from "../../src/cli/request.ts";
import resetTimers from "../../src/cli/reset-timers.ts";
import resync from "../../src/cli/resync.ts";
import status from "../../src/cli/status.ts";
import stop from "../../src/cli/stop.ts";
import { runCommandLine } from "../../src/cli/support/run.ts";
import type { Random } from "../sim/random.ts";
import { mutateBytes, pick } from "./mutate.ts";
import { holds, type Life, type Step, type Target } from "./target.ts";

const commands = {
  notify,
  status,
  dump,
  commit,
  flush,
  resync,
  bulk,
  request,
  "reset-timers": resetTimers,
  stop,
  config,
};
const root = defineCommand({
  meta: { name: "ctsync", description: "As src/main.ts, without the daemon" },
  subCommands: commands,
});

const ROLES = ["master", "MASTER", "Backup", "FAULT", "stop", "STOP"];
const WORDS = [
  ...Object.keys(commands),
  ...ROLES,
  ...["INSTANCE", "GROUP", "instance", "VI_1", "100", "-1", "", "-", "--", "---", "--help", "-h", "help", "--version"],
  ...[
    "--json",
    "--json=yes",
    "--no-json",
    "--internal",
    "--external",
    "--kernel",
    "internal",
    "kernel",
    "check",
    "show",
  ],
  ...[
    "--format",
    "--format=json",
    "json",
    "--config",
    "--config=/none.toml",
    "/none.toml",
    "--socket",
    "--socket=/none.sock",
  ],
  ...[
    "/none.sock",
    "__proto__",
    "constructor",
    "--__proto__",
    "--constructor=1",
    "\n",
    "\u202e",
    "x".repeat(200),
    "mastre",
    "--jsno",
  ],
];
const SEPARATOR = "\0";

class CommandLineLife implements Life {
  apply({ kind, bytes }: Step): string | Promise<string> {
    const words = Buffer.from(bytes).toString("utf8").split(SEPARATOR);
    return kind === "notify" ? this.#notify(words) : this.#call(words);
  }

  end(): void {
    holds(Object.keys(Object.prototype).length === 0, "every object was given a property");
    for (const role of ROLES)
      holds(parseNotify(["GROUP", "g", role, "100"]).ok, `keepalived's own words are refused: ${role}`);
  }

  #notify(words: readonly string[]): string {
    const said = parseNotify(words);
    if (!said.ok) {
      holds(said.error.length > 0, "refused without a reason");
      return "refused";
    }
    holds(["master", "backup", "fault", "stop"].includes(said.value.role), `the role is ${said.value.role}`);
    holds(
      words.some((word) => word.toLowerCase() === said.value.role),
      "a role that nobody named",
    );
    const { priority } = said.value;
    holds(priority === undefined || priority >= 0, `the priority is ${priority}`);
    return Object.keys(said.value).join();
  }

  /** The connection to a daemon fails here, whatever its socket: a fuzzed `flush kernel` must never find one. */
  async #call(words: readonly string[]): Promise<string> {
    const { fetch } = globalThis;
    const { log, error } = console;
    const status = process.exitCode;
    const said: unknown[] = [];
    const complaints: unknown[] = [];
    console.log = (text: unknown) => said.push(text);
    console.error = (text: unknown) => complaints.push(text);
    globalThis.fetch = Object.assign(() => Promise.reject(Object.assign(new Error("none"), { code: "ENOENT" })), fetch);
    process.exitCode = 0;
    try {
      await runCommandLine(root, words);
      const ended = process.exitCode as number;
      holds(ended === 0 || ended === 1 || ended === 2, `exit status ${ended}`);
      holds((ended === 0) === (complaints.length === 0), `exit status ${ended}, and it complained of ${complaints}`);
      holds(ended !== 0 || said.length > 0, "done, and nothing said");
      holds(!complaints.join("\n").includes("internal error"), complaints.join("\n"));
      return `${words[0]} ${ended}`;
    } finally {
      Object.assign(globalThis, { fetch });
      Object.assign(console, { log, error });
      process.exitCode = status ?? 0;
    }
  }
}

export const commandLineTarget: Target = {
  name: "command-line",
  steps: 500,
  cases: () => 1,
  flavours: 1,
  begin: () => new CommandLineLife(),
  make(random: Random): Step {
    const kind = random.percent(60) ? "notify" : "call";
    const words = Array.from({ length: 1 + random.below(6) }, () => pick(random, WORDS));
    if (kind === "notify" && random.percent(50)) words.unshift("INSTANCE", "VI_1", pick(random, ROLES));
    if (kind === "call" && random.percent(80)) words.unshift(pick(random, Object.keys(commands)));
    const bytes = new TextEncoder().encode(words.join(SEPARATOR));
    return { kind, bytes: random.percent(20) ? mutateBytes(bytes, random) : bytes };
  },
};
