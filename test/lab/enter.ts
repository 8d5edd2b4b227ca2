/**
 * Runs code of this process inside a namespace of the lab: a socket opened there belongs to it for good.
 *
 * `setns` moves the calling thread alone, so the code must be synchronous: it is back where it came from when it returns.
 * Signature: sched.h.
 */
import { closeSync, openSync } from "node:fs";
import { negative } from "../../ffi/errno.ts";
import { load } from "../../ffi/load.ts";
import type { Namespace } from "./namespace.ts";

const c = load("libc.so.6", "libc6", { setns: { args: ["i32", "i32"], returns: "i32" } });
const CLONE_NEWNET = 0x40000000;

export function inside<T>(namespace: Namespace, work: () => T extends Promise<unknown> ? never : T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    move(`/run/netns/${namespace.realName}`);
    return work();
  } finally {
    moveTo(home);
    closeSync(home);
  }
}

function move(path: string): void {
  const fd = openSync(path, "r");
  try {
    moveTo(fd);
  } finally {
    closeSync(fd);
  }
}

function moveTo(fd: number): void {
  const answer = negative(c.setns(fd, CLONE_NEWNET));
  if (answer < 0) throw new Error(`setns answered ${answer}`);
}
