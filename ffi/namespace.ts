/**
 * A network namespace for this thread alone: what it opens from then on, and what it starts, is in there. The namespace ends
 * with its last user, so with this process, however that ends. Signature: sched.h; number: linux/sched.h (uapi).
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";

const c = load("libc.so.6", "libc6", { unshare: { args: ["i32"], returns: "i32" } });
const CLONE_NEWNET = 0x4000_0000;

/** 0, or -EPERM without CAP_SYS_ADMIN. */
export const leaveForNewNetwork = (): number => negative(c.unshare(CLONE_NEWNET));
