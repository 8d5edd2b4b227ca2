/** What this process is allowed to do. Source: proc(5), /proc/pid/status, CapEff: a bit mask in hexadecimal. */
import { readFileSync } from "node:fs";

const CAP_NET_ADMIN = 12;

/** Whether the kernel lets this process read and change conntrack entries of its network namespace. */
export function hasNetAdmin(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> BigInt(CAP_NET_ADMIN)) & 1n) === 1n;
}
