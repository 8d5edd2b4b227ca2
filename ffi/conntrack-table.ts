/** What the kernel says of its conntrack table under /proc/sys/net/netfilter. */
import { readFileSync } from "node:fs";

/** Buckets, one number for the machine; 0 where the kernel does not say. */
export const conntrackBuckets = (): number => setting("nf_conntrack_buckets") ?? 0;

/** Entries in this network namespace, those of packets under way too; undefined where the kernel does not say. */
export const conntrackCount = (): number | undefined => setting("nf_conntrack_count");

function setting(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/net/netfilter/${name}`, "utf8"));
  } catch {
    return undefined;
  }
}
