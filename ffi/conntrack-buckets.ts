/** Buckets of the kernel's conntrack table, one number for the machine: /proc/sys/net/netfilter/nf_conntrack_buckets. */
import { readFileSync } from "node:fs";

/** 0 where the kernel does not say. */
export function conntrackBuckets(): number {
  try {
    return Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_buckets", "utf8"));
  } catch {
    return 0;
  }
}
