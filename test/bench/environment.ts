/** What the benchmark runs on, and which versions it compares. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { CONNTRACKD } from "../lab/conntrackd.ts";
import { CTSYNC } from "../lab/ctsync.ts";
import { execute, succeed } from "../lab/execute.ts";
import type { Machine, Versions } from "./results.ts";

export function readMachine(): Machine {
  const processors = cpus();
  const distribution = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  return {
    processor: processors[0]?.model ?? "unknown",
    coreCount: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    distribution: distribution ?? "unknown",
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** The runtime inside ctsync is the Bun that built it, which is the one that runs this. */
export async function readVersions(): Promise<Versions> {
  const conntrackd = await succeed([CONNTRACKD, "-v"]);
  const described = await execute(["git", "-C", import.meta.dir, "describe", "--always", "--dirty"]);
  return {
    ctsync: (await succeed([CTSYNC, "--version"])).replace("ctsync", "").trim(),
    sources: described.status === 0 ? described.stdout.trim() : "",
    bun: Bun.version,
    conntrackd: /\bv([\d.]*\d)/.exec(conntrackd)?.[1] ?? conntrackd.trim(),
  };
}
