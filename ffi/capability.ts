/**
 * What this process is allowed to do, and giving it up. Source: proc(5), /proc/pid/status, CapEff and CapPrm: bit masks in
 * hexadecimal; capabilities(7), prctl(2). Numbers: linux/capability.h, linux/prctl.h, asm-generic/resource.h (uapi).
 *
 *   struct __user_cap_header_struct   u32 version, i32 pid (0: this thread)
 *   struct __user_cap_data_struct     u32 effective, permitted, inheritable; twice: capabilities 0 to 31, 32 to 63
 *   struct rlimit                     u64 current, maximum
 */
import { readFileSync } from "node:fs";
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  prctl: { args: ["i32", "u64_fast", "u64_fast", "u64_fast", "u64_fast"], returns: "i32" },
  capset: { args: ["buffer", "buffer"], returns: "i32" },
  setrlimit: { args: ["i32", "buffer"], returns: "i32" },
});

export const CAP_NET_ADMIN = 12;
export const CAP_SYS_NICE = 23;
const CAPABILITIES_MAX = 64;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const RLIMIT_RTPRIO = 14;

/** Whether the kernel lets this process read and change conntrack entries of its network namespace. */
export const hasNetAdmin = (): boolean => capabilities("CapEff").includes(CAP_NET_ADMIN);

/** Numbers of the capabilities that this thread could use. */
export const permittedCapabilities = (): number[] => capabilities("CapPrm");

function capabilities(set: "CapEff" | "CapPrm"): number[] {
  const status = readFileSync("/proc/thread-self/status", "utf8");
  const mask = BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
  return Array.from({ length: CAPABILITIES_MAX }, (_, number) => number).filter(
    (number) => (mask >> BigInt(number)) & 1n,
  );
}

/** Lets this process, whatever it may become, ask for real-time priorities up to this one: 0 or -errno. */
export function allowRealtime(priority: number): number {
  const limit = pinned(16);
  const words = new BigUint64Array(limit.buffer);
  words.fill(BigInt(priority));
  return negative(c.setrlimit(RLIMIT_RTPRIO, limit));
}

/**
 * The calling thread, and what it executes, keep these capabilities alone and get no others any more: 0 or -errno. That the
 * bounding set stays as it is, without CAP_SETPCAP, changes nothing: no_new_privs is stronger.
 */
export function keepCapabilities(kept: readonly number[]): number {
  for (let number = 0; number < CAPABILITIES_MAX; number++)
    if (!kept.includes(number)) c.prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
  const header = pinned(8);
  const data = pinned(24);
  new DataView(header.buffer).setUint32(0, CAPABILITY_VERSION_3, true);
  const words = new DataView(data.buffer);
  for (const number of kept) {
    const at = number < 32 ? 0 : 12;
    for (let set = 0; set < 3; set++) {
      const mask = words.getUint32(at + set * 4, true) | (1 << (number & 31));
      words.setUint32(at + set * 4, mask, true);
    }
  }
  const noNew = negative(c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (noNew < 0) return noNew;
  const set = negative(c.capset(header, data));
  if (set < 0) return set;
  for (const number of kept) {
    const raised = negative(c.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0));
    if (raised < 0) return raised;
  }
  return 0;
}
