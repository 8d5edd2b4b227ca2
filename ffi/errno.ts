/**
 * The error number of the last failed C call.
 *
 * `errno` lives per thread, so its address is asked for once in the thread that evaluates this module. bun:ffi itself
 * makes no system call on the way back, hence the value is intact if nothing that could allocate stands between the
 * call and `negative` (D-004).
 * Wrappers answer `-errno` as the kernel does, so callers write `if (n < 0)`. Numbers: asm-generic/errno.h (uapi),
 * the same on x86-64 and arm64.
 */
import { read } from "bun:ffi";
import { load } from "./load.ts";

const c = load("libc.so.6", "libc6", {
  __errno_location: { args: [], returns: "ptr" },
  strerror: { args: ["i32"], returns: "cstring" },
});

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
  ERANGE: 34,
  ENOSYS: 38,
  EPROTO: 71,
  EOVERFLOW: 75,
  ENOTSOCK: 88,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
} as const;

const location = c.__errno_location();
if (location === null) throw new Error("__errno_location answered NULL");
const NAMES = new Map<number, string>(Object.entries(Errno).map(([name, number]) => [number, name]));

/** The answer of a C call that says -1 on failure: itself, or `-errno`. */
export const negative = (answer: number): number => (answer < 0 ? -read.i32(location, 0) : answer);

/** "EPERM", or "errno 1234" for one that is not in the table. Takes errno or -errno. */
export const errnoName = (errno: number): string => NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;

/** "Operation not permitted". Takes errno or -errno. */
export const errnoText = (errno: number): string => c.strerror(Math.abs(errno)) ?? errnoName(errno);
