/** Two machines whose link has a key: each with a key file of its own, made and changed by `ctsync keygen`. */
import { chmodSync, copyFileSync } from "node:fs";
import type { SealReport, StatusReport } from "../../src/report.ts";
import { CTSYNC, ctsync, type LabConfig, writeConfig } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import type { Lab } from "../lab/lab.ts";
import { makeSides, type Side, type Sides, statusOf } from "./daemon-pair.ts";

export const keyFileOf = (side: Side): string => side.socket.replace(/\.sock$/, ".key");

/** Writes the side's configuration anew: sealed by its key file, or open. */
export async function configure(
  lab: Lab,
  side: Side,
  how: "sealed" | "open",
  settings: Partial<LabConfig> = {},
): Promise<void> {
  const [local, peer] = side.namespace.name === "one" ? ["10.0.9.1", "10.0.9.2"] : ["10.0.9.2", "10.0.9.1"];
  const link = how === "sealed" ? { key_file: keyFileOf(side) } : {};
  await writeConfig(lab, side.namespace.name, { interface: "sync", local, peer, link, ...settings });
}

export const keygen = (side: Side, ...words: readonly string[]): Promise<string> =>
  succeed([CTSYNC, "keygen", keyFileOf(side), ...words]);

/** As scp does it. */
export function copyKey(from: Side, to: Side): void {
  copyFileSync(keyFileOf(from), keyFileOf(to));
  chmodSync(keyFileOf(to), 0o600);
}

/** Both have the same key. Nothing runs yet. */
export async function makeSealedSides(lab: Lab, settings: Partial<LabConfig> = {}): Promise<Sides> {
  const sides = await makeSides(lab);
  await keygen(sides[0]);
  copyKey(...sides);
  for (const side of sides) await configure(lab, side, "sealed", settings);
  return sides;
}

export async function rekey(side: Side, ...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await ctsync(side.namespace, ["rekey", ...words], { config: side.config });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export function sealOf({ link }: StatusReport): SealReport {
  if (link.seal === null) throw new Error("the link is open");
  return link.seal;
}

export const REFUSALS = ["clear", "malformed", "wrongKey", "oldSession", "replayed", "tooOld", "forged"] as const;

/** How many datagrams of the peer's address were refused, by reason; those that were. */
export async function refusals(side: Side): Promise<Record<string, number>> {
  const { link } = (await statusOf(side)).counters;
  return Object.fromEntries(REFUSALS.map((name) => [name, link![name]!] as const).filter(([, count]) => count > 0));
}
