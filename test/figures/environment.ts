/** What a measurement ran on, and which versions it compares. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import * as v from "valibot";
import { CONNTRACKD } from "../lab/conntrackd.ts";
import { CTSYNC } from "../lab/ctsync.ts";
import { execute, succeed } from "../lab/execute.ts";

export const MachineSchema = v.strictObject({
  processor: v.string(),
  coreCount: v.number(),
  memoryBytes: v.number(),
  kernel: v.string(),
  distribution: v.string(),
  /** Of the minute before the run: above a few tenths, somebody else was at work. */
  loadAverage: v.number(),
});

export const VersionsSchema = v.strictObject({
  ctsync: v.string(),
  /** What git calls the sources, "" outside a repository. */
  sources: v.string(),
  bun: v.string(),
  conntrackd: v.string(),
});

export type Machine = v.InferOutput<typeof MachineSchema>;
export type Versions = v.InferOutput<typeof VersionsSchema>;

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
