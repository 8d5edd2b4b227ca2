/**
 * A filter that the kernel runs on each message before it queues it for a socket: classic BPF. Signatures and
 * numbers: linux/filter.h, linux/bpf_common.h (uapi).
 *
 *   struct sock_fprog    u16 instructions, 6 bytes padding, 64-bit address of the first
 *   struct sock_filter   u16 code, u8 steps if true, u8 steps if false, u32 operand
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { addressOf, pinned, storeAddress } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  setsockopt: { args: ["i32", "i32", "i32", "buffer", "u32"], returns: "i32" },
});

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const PROGRAM_BYTES = 16;
const INSTRUCTION_BYTES = 8;

/** A = the 32-bit word at the operand's offset, read as big-endian. */
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const WHOLE = 0xffff_ffff;

/** struct nlmsghdr: who sent a request, which is also who caused an event. */
const NLMSG_PID_AT = 12;

/**
 * Drops netlink messages that bear one of these port ids, at most 250 of them; an earlier filter is replaced. 0 or -errno.
 */
export function dropPortIds(fd: number, portIds: readonly number[]): number {
  const count = portIds.length + 3;
  const program = pinned(PROGRAM_BYTES + count * INSTRUCTION_BYTES);
  const view = new DataView(program.buffer);
  view.setUint16(0, count, true);
  storeAddress(view, 8, addressOf(program, PROGRAM_BYTES));
  let at = PROGRAM_BYTES;
  const put = (code: number, ifTrue: number, operand: number): void => {
    view.setUint16(at, code, true);
    view.setUint8(at + 2, ifTrue);
    view.setUint32(at + 4, operand, true);
    at += INSTRUCTION_BYTES;
  };
  put(LOAD_WORD, 0, NLMSG_PID_AT);
  portIds.forEach((portId, i) => {
    put(JUMP_IF_EQUAL, portIds.length - i, swapped(portId));
  });
  put(RETURN, 0, WHOLE);
  put(RETURN, 0, 0);
  return negative(c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, PROGRAM_BYTES));
}

/** The header is in the machine's byte order, little-endian, and the filter reads it as big-endian. */
const swapped = (word: number): number =>
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
