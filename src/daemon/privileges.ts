/**
 * The daemon needs CAP_NET_ADMIN, and to be allowed its real-time priority. What it is given beyond that, as by root's
 * shell or an own unit without limits, it gives up before it does anything: it takes the limit that allows the priority,
 * keeps the one capability, sets no_new_privs, and executes itself again, so that every thread of Bun's is born without
 * the rest (D-010). Under the unit there is nothing to give up.
 */
import { readFileSync } from "node:fs";
import { become } from "../../ffi/become.ts";
import {
  allowRealtime,
  CAP_NET_ADMIN,
  CAP_SYS_NICE,
  keepCapabilities,
  permittedCapabilities,
} from "../../ffi/capability.ts";
import { errnoName } from "../../ffi/errno.ts";
import { type Result, refuse, succeed } from "../result.ts";

/** Does not return where there was something to give up and that went well. */
export function shedPrivileges(realtimePriority: number): Result<undefined> {
  const permitted = permittedCapabilities();
  const kept = [CAP_NET_ADMIN];
  const mayNice = permitted.includes(CAP_SYS_NICE);
  if (realtimePriority > 0 && mayNice && allowRealtime(realtimePriority) < 0) kept.push(CAP_SYS_NICE);
  if (permitted.every((capability) => kept.includes(capability))) return succeed(undefined);
  const keeping = keepCapabilities(kept);
  if (keeping < 0) return refuse(`cannot give up the capabilities that it does not need: ${errnoName(keeping)}`);
  const argv = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  const answer = become(process.execPath, argv);
  return refuse(`cannot execute ${process.execPath} again: ${errnoName(answer)}`);
}
