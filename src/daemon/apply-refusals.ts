/** What a refusal of the kernel says of a flow that a live backup told it. */
import { Errno } from "../../ffi/errno.ts";

/** Refusals of what was to be made, not changed. */
export const NOT_MADE: ReadonlySet<number> = new Set([Errno.EEXIST, Errno.ENOMEM]);

/** Refusals that pass by themselves: the table is full, or another flow has the reply tuple still. */
export const MAY_PASS: ReadonlySet<number> = new Set([
  Errno.EEXIST,
  Errno.ENOMEM,
  Errno.ENOBUFS,
  Errno.ENOSPC,
  Errno.EAGAIN,
  Errno.EBUSY,
]);
