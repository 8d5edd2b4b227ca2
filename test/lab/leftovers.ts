/**
 * Removing what a lab made, in every case: at its end, when the test run is interrupted, and, for runs that were
 * killed outright, at the start of the next one.
 *
 * Everything a lab makes carries the prefix cts<pid>-: namespaces, and directories under the temporary directory.
 * All here is synchronous, because an exiting process waits for no promise.
 */
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { releaseMachineSysctls } from "./machine-sysctl.ts";
import { isAlive, killQuietly } from "./pid.ts";

const OURS = /^cts(\d+)-/;
const KILL_ROUNDS_MAX = 1_000;

function output(argv: string[]): string {
  return Bun.spawnSync(argv, { stdout: "pipe", stderr: "ignore" }).stdout.toString();
}

function namespaceNames(): string[] {
  const lines = output(["ip", "netns", "list"]).split("\n");
  return lines.map((line) => line.split(" ")[0] ?? "").filter(Boolean);
}

/** Kills what runs in the namespace, by pid, until nothing does (a parent may fork meanwhile); then removes it. */
function removeNamespace(name: string): void {
  for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
    const pids = output(["ip", "netns", "pids", name]).split("\n").filter(Boolean);
    if (pids.length === 0) break;
    for (const pid of pids) killQuietly(Number(pid));
  }
  output(["ip", "netns", "delete", name]);
}

function remove(matches: (name: string) => boolean): void {
  for (const name of namespaceNames()) if (matches(name)) removeNamespace(name);
  for (const name of readdirSync(tmpdir())) {
    if (matches(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Removes the lab whose names start with `prefix`; `user` is its name in the register of machine-wide settings. */
export function removeLab(prefix: string, user: string): void {
  remove((name) => name.startsWith(prefix));
  releaseMachineSysctls(user);
}

/** Removes labs whose process is gone. */
export function sweepStaleLabs(): void {
  remove((name) => {
    const pid = OURS.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
  releaseMachineSysctls("");
}
