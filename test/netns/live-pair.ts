/** Two machines whose kernels follow each other (sync.apply = "live"): their flows, and when both have the same. */
import { resolve } from "node:path";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_DST_NAT, IPS_SEEN_REPLY, IPS_SRC_NAT } from "../../src/flow/status.ts";
import { type LabConfig, writeConfig } from "../lab/ctsync.ts";
import type { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, makeSides, type Side, type Sides, statusOf } from "./daemon-pair.ts";
import { table } from "./kernel-table.ts";
import { copyKey, keyFileOf, keygen } from "./sealed-pair.ts";

const GENERATE = [process.execPath, resolve(import.meta.dir, "../lab/generate.ts"), "--snat"];
export const TIMEOUT_SECONDS = 900;

export const LIVE = { sync: { apply: "live" } };

export type How = "open" | "sealed";
export const HOW: readonly How[] = ["open", "sealed"];

/** Two machines whose kernels follow each other, on a link with a key or without one. */
export async function liveSides(lab: Lab, how: How, settings: Partial<LabConfig> = {}): Promise<Sides> {
  const sides = await makeSides(lab, { ...LIVE, ...settings });
  if (how === "open") return sides;
  await keygen(sides[0]);
  copyKey(...sides);
  for (const [i, side] of sides.entries())
    await writeConfig(lab, side.namespace.name, {
      ...{ interface: "sync", local: `10.0.9.${i + 1}`, peer: `10.0.9.${2 - i}` },
      ...{ ...LIVE, ...settings, link: { key_file: keyFileOf(side) } },
    });
  return sides;
}

export const generate = (side: Side, ...args: readonly string[]): Promise<string> =>
  side.namespace.run([...GENERATE, "--timeout", String(TIMEOUT_SECONDS), ...args], { deadlineMs: 60_000 });

/** What of an entry must be the same in both kernels. */
const STATUS = IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | IPS_DST_NAT;
const isLinks = (words: Uint32Array): boolean => words[f.ORIG_SRC]! >>> 8 === 0x0a0009;
/** The flows of a kernel, but for the link's own. */
export const entries = (side: Side): Uint32Array[] =>
  table(side.namespace).filter((words) => f.familyOf(words[f.PROTO]!) === 4 && !isLinks(words));
export const keyOf = (words: Uint32Array): string => words.subarray(0, f.KEY_WORDS).join();
/** Timers by key. */
export const timers = (side: Side): Map<string, number> =>
  new Map(entries(side).map((words) => [keyOf(words), words[f.TIMEOUT]!]));
/** Both tuples, status, mark and state, by key. */
export const states = (side: Side): Map<string, string> =>
  new Map(
    entries(side).map((words) => [
      keyOf(words),
      `${words.subarray(f.REPLY_SRC, f.HAS).join()} ${words[f.STATUS]! & STATUS} ${words[f.MARK]} ${words[f.INFO]! & 0xff}`,
    ]),
  );

export const same = (a: Side, b: Side, deadlineMs = DEADLINE_MS): Promise<boolean> =>
  until(
    async () => {
      const { apply } = await statusOf(b);
      if (apply.waiting + apply.withdrawing > 0) return false;
      const [wanted, standing] = [states(a), states(b)];
      return wanted.size === standing.size && [...wanted].every(([key, state]) => standing.get(key) === state);
    },
    deadlineMs,
    `the kernel of ${b.namespace.name} has what that of ${a.namespace.name} has`,
  );
