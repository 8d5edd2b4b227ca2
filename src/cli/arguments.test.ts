/** What the command line answers before any daemon or configuration is needed. */
import { expect, test } from "bun:test";
import { ctsync } from "./test-daemon.ts";

const COMMANDS = [
  "daemon",
  "notify",
  "status",
  "dump",
  "commit",
  "flush",
  "resync",
  "bulk",
  "request",
  "reset-timers",
  "rekey",
  "stop",
  "config check",
  "config show",
];

test("ctsync --help lists every command, on standard output", async () => {
  const { code, stdout, stderr } = await ctsync("--help");
  expect([code, stderr]).toEqual([0, ""]);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command.split(" ")[0]} +\\S`, "m"));
  expect((await ctsync("help")).stdout).toBe(stdout);
});

test("ctsync alone shows the same on standard error: nothing was asked for", async () => {
  const { code, stdout, stderr } = await ctsync();
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe((await ctsync("--help")).stdout);
});

test("ctsync --version", async () => {
  expect(await ctsync("--version")).toEqual({ code: 0, stdout: "ctsync 0.1.0\n", stderr: "" });
});

test.each(COMMANDS)("%s --help tells of every option, and refuses an option it does not know", async (command) => {
  const words = command.split(" ");
  const help = await ctsync(...words, "--help");
  expect([help.code, help.stderr]).toEqual([0, ""]);
  expect(help.stdout).toContain(`Usage: ctsync ${command} [OPTIONS]`);
  expect(help.stdout).toContain("--config FILE");
  expect(help.stdout.includes("--socket PATH")).toBe(!/^(daemon|config)/.test(command));

  const refused = await ctsync(...words, "--confg", "x");
  expect(refused).toEqual({
    code: 2,
    stdout: "",
    stderr: `ctsync ${command}: unknown option --confg, did you mean --config?\nSee: ctsync ${command} --help\n`,
  });
});

test.each([
  [["statu"], 'ctsync: unknown command "statu", did you mean "status"?'],
  [["reset_timers"], 'ctsync: unknown command "reset_timers", did you mean "reset-timers"?'],
  [["hlep"], 'ctsync: unknown command "hlep", did you mean "help"?'],
  [["frobnicate"], 'ctsync: unknown command "frobnicate"'],
  [["toString"], 'ctsync: unknown command "toString"'],
  [["--versoin"], "ctsync: unknown option --versoin, did you mean --version?"],
  [["--config", "x", "status"], "ctsync: unknown option --config, options follow the command"],
  [["config", "chek"], 'ctsync config: unknown command "chek", did you mean "check"?'],
  [["commit", "now"], 'ctsync commit: unexpected "now"'],
  [["commit", "--", "now"], 'ctsync commit: unexpected "now"'],
  [["commit", "-x"], "ctsync commit: unknown option -x"],
  [["commit", "--config"], "ctsync commit: --config needs its FILE"],
  [["commit", "--config="], "ctsync commit: --config needs its FILE"],
  [["commit", "--config", "--socket", "x"], "ctsync commit: --config needs its FILE"],
  [["status", "--json=yes"], "ctsync status: --json takes no value"],
  [["status", "--no-json"], "ctsync status: unknown option --no-json"],
  [["dump"], "ctsync dump: give exactly one of --internal and --external"],
  [["dump", "--internal", "--external"], "ctsync dump: give exactly one of --internal and --external"],
  [["dump", "internal"], 'ctsync dump: unexpected "internal", did you mean --internal?'],
  [["dump", "--internal", "--format", "jsn"], 'ctsync dump: unknown format "jsn", did you mean "json"?'],
  [["dump", "--internal", "--format", "yaml"], 'ctsync dump: unknown format "yaml", the formats are text and json'],
  [["flush", "kernal"], 'ctsync flush: unexpected "kernal", did you mean "kernel"?'],
  [["flush", "everything"], 'ctsync flush: unexpected "everything", what can be emptied is internal, external, kernel'],
  [
    ["flush", "internal", "--kernel"],
    "ctsync flush: name one of internal, external, kernel, or nothing for both caches",
  ],
  [["keygen", "--ad"], "ctsync keygen: unknown option --ad, did you mean --add?"],
  [["keygen", "--add", "--drop"], "ctsync keygen: give one of --add and --drop"],
  [["keygen", "--switch", "--force"], "ctsync keygen: --switch needs no --force"],
  [["keygen", "a", "b"], 'ctsync keygen: unexpected "b"'],
  [["notify"], "ctsync notify: which role? One of master, backup, fault, stop"],
  [["notify", "mater"], 'ctsync notify: "mater" is no role, did you mean "master"?'],
] as const)("wrong use: %j", async (words, text) => {
  const { code, stdout, stderr } = await ctsync(...words);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr.split("\n")[0]).toBe(text);
  expect(stderr).toMatch(/\nSee: ctsync .*--help\n$/);
});

test.each(["-_", "--_", "--no-_", "-x_", "--_=1"])(
  "an option that citty fails over, %s, is unknown like any other",
  async (option) => {
    const { code, stdout, stderr } = await ctsync("status", option);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`ctsync status: unknown option ${option}\n`);
  },
);
