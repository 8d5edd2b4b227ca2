/** libc, what any descriptor can do. Signatures: unistd.h, sys/file.h, sys/stat.h. Every wrapper answers 0 or more, or -errno. */
import { negative } from "./errno.ts";
import { load } from "./load.ts";

const c = load("libc.so.6", "libc6", {
  close: { args: ["i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  mkfifo: { args: ["cstring", "u32"], returns: "i32" },
});

const LOCK_EX = 2;
const LOCK_NB = 4;

export const close = (fd: number): number => negative(c.close(fd));

/** Takes the exclusive lock of an open file, held until the descriptor closes; -EAGAIN while another process has it. */
export const lockExclusive = (fd: number): number => negative(c.flock(fd, LOCK_EX | LOCK_NB));

/** A named pipe that its owner alone reads and writes. */
export const makeFifo = (path: string): number => negative(c.mkfifo(path, 0o600));
