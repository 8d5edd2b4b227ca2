import { readFileSync, writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import { DEFAULT_RECORDER_PATH } from "../config/paths.ts";
import { type Ring, readRing } from "../recorder/ring.ts";
import { type Failover, failovers } from "../recorder/timeline.ts";
import { timelineSvg } from "../recorder/timeline-svg.ts";
import { failoverText } from "../recorder/timeline-text.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { configOptions } from "./support/options.ts";
import { strict } from "./support/strict.ts";
import { counted, fail, wrongUse } from "./support/terminal.ts";

const args = {
  all: { type: "boolean", description: "Every failover that is recorded, not the last one alone" },
  last: { type: "string", valueHint: "N", description: "The last N failovers" },
  json: { type: "boolean", description: "One JSON object a failover, for programs" },
  svg: { type: "string", valueHint: "FILE", description: "Draw them into FILE" },
  file: { type: "string", valueHint: "RING", description: "The recorder's file (default: recorder.path)" },
  ...configOptions,
} as const;

export default defineCommand({
  meta: {
    name: "timeline",
    description: `Show the last failover, moment by moment

What the daemon recorded of it on disk: the peer's last datagram, keepalived's word, the commit, every step, the first
packet that came to be forwarded. Times count from keepalived's word. It needs no daemon that runs.`,
  },
  args,
  run(context) {
    if (!strict(context, args)) return;
    const { all, last, json, svg } = context.args;
    if (all === true && last !== undefined) return wrongUse("timeline", "give one of --all and --last");
    if (last !== undefined && !/^[1-9]\d{0,5}$/.test(last))
      return wrongUse("timeline", `--last takes a number from 1 on, not "${last}"`);
    const path = context.args.file ?? ringPath(context.args.config);
    if (path === "") return fail("ctsync timeline: nothing is recorded: recorder.path is empty");
    const ring = read(path);
    if (!ring.ok) return fail(`ctsync timeline: ${ring.error}`);
    const { records, damaged } = ring.value;
    if (damaged > 0)
      console.error(`ctsync: ${path}: ${counted(damaged, "record is", "records are")} damaged and left out`);
    const found = failovers(records).slice(all === true ? 0 : -Number(last ?? 1));
    if (svg !== undefined) draw(found, svg);
    else if (json === true) for (const failover of found) console.log(JSON.stringify(failover));
    else if (found.length === 0)
      console.log(`no failover is recorded (${counted(records.length, "record")} in ${path})`);
    else console.log(found.map(failoverText).join("\n\n"));
  },
});

function draw(found: readonly Failover[], path: string): void {
  if (found.length === 0) {
    fail("ctsync timeline: no failover is recorded, so there is nothing to draw");
    return;
  }
  try {
    writeFileSync(path, timelineSvg(found));
    console.log(`drew ${counted(found.length, "failover")} into ${path}`);
  } catch (error) {
    fail(`ctsync timeline: cannot write ${path} (${(error as NodeJS.ErrnoException).code ?? error})`);
  }
}

function read(path: string): Result<Ring> {
  try {
    return succeed(readRing(readFileSync(path)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      return refuse(`there is no ${path}: no daemon has recorded anything there (see recorder.path)`);
    if (code === "EACCES" || code === "EPERM")
      return refuse(`permission to read ${path} is denied. Run ctsync as root`);
    return refuse(`${path} cannot be read (${code ?? error})`);
  }
}

/** `recorder.path`, of a configuration that may have mistakes elsewhere: what happened is asked for in bad times. */
function ringPath(config: string): string {
  try {
    const { recorder } = Bun.TOML.parse(readFileSync(config, "utf8")) as {
      readonly recorder?: { readonly path?: unknown };
    };
    return typeof recorder?.path === "string" ? recorder.path : DEFAULT_RECORDER_PATH;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "it is no TOML";
    console.error(
      `ctsync: cannot read ${config} (${reason}), so the recorder's file is taken to be ${DEFAULT_RECORDER_PATH}`,
    );
    return DEFAULT_RECORDER_PATH;
  }
}
