/**
 * What has to hold before the first line of ours runs, since Bun has started threads by then: the daemon sees to it and
 * executes itself again, under the same pid. Under the unit there is nothing left to do.
 *
 * - It needs CAP_NET_ADMIN, and to be allowed its real-time priority. What it is given beyond that, as by root's shell or an
 *   own unit without limits, it gives up before it does anything: it takes the limit that allows the priority, keeps the one
 *   capability, and sets no_new_privs (D-010).
 * - The runtime is to collect garbage in the loop's own thread, which waits for nobody then, and to give memory that it freed
 *   back at once (D-025).
 */
import { readFileSync } from "node:fs";
import { become, setEnvironment } from "../../ffi/become.ts";
import {
  allowRealtime,
  CAP_NET_ADMIN,
  CAP_SYS_NICE,
  keepCapabilities,
  permittedCapabilities,
} from "../../ffi/capability.ts";
import { errnoName } from "../../ffi/errno.ts";
import { type Result, refuse, succeed } from "../result.ts";

/** Read by the runtime when it starts. Whoever sets one of them otherwise is left alone. */
const RUNTIME_OPTIONS = {
  BUN_JSC_useConcurrentGC: "0",
  BUN_JSC_numberOfGCMarkers: "1",
  MIMALLOC_PURGE_DELAY: "0",
} as const;

/** Does not return where there was something to do and that went well. Without the runtime's options it works, less evenly. */
export function executeAgain(realtimePriority: number): Result<undefined> {
  const kept = capabilitiesToKeep(realtimePriority);
  const shedding = permittedCapabilities().some((capability) => !kept.includes(capability));
  const missing = Object.entries(RUNTIME_OPTIONS).filter(([name]) => process.env[name] === undefined);
  if (!shedding && missing.length === 0) return succeed(undefined);
  const keeping = shedding ? keepCapabilities(kept) : 0;
  if (keeping < 0) return refuse(`cannot give up the capabilities that it does not need: ${errnoName(keeping)}`);
  const lacking = missing.some(([name, value]) => setEnvironment(name, value) < 0);
  if (lacking && !shedding) return succeed(undefined); // It would execute itself for ever.
  const argv = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  const answer = become(process.execPath, argv);
  if (!shedding) return succeed(undefined);
  return refuse(`cannot execute ${process.execPath} again: ${errnoName(answer)}`);
}

function capabilitiesToKeep(realtimePriority: number): number[] {
  const mayNice = permittedCapabilities().includes(CAP_SYS_NICE);
  const needsNice = realtimePriority > 0 && mayNice && allowRealtime(realtimePriority) < 0;
  return needsNice ? [CAP_NET_ADMIN, CAP_SYS_NICE] : [CAP_NET_ADMIN];
}
