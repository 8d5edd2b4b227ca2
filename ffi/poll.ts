/**
 * Whether a descriptor takes a write without making us wait. Signature: poll.h; numbers: asm-generic/poll.h (uapi).
 *
 *   struct pollfd   i32 fd, i16 events, i16 revents
 */
import { load } from "./load.ts";
import { pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", { poll: { args: ["buffer", "u64_fast", "i32"], returns: "i32" } });

const POLLOUT = 4;
const AT_ONCE = 0;
const asked = pinned(8);
const view = new DataView(asked.buffer);

/** Of a pipe: room for a page. A file is always writable; so is what is broken, whose write says how. */
export function isWritable(fd: number): boolean {
  view.setInt32(0, fd, true);
  view.setInt16(4, POLLOUT, true);
  view.setInt16(6, 0, true);
  return c.poll(asked, 1, AT_ONCE) > 0;
}
