/**
 * The file of the C library this process already runs on, from /proc/self/maps.
 *
 * Asking for "libc.so.6" by name would let a file of that name in the working directory answer; the mapping cannot be
 * planted. Source: proc(5), /proc/pid/maps: the sixth column is the path of a mapped file.
 */
import { readFileSync } from "node:fs";

/** `libc.so.6`, or the versioned name it links to before glibc 2.34 (`libc-2.31.so`). */
const LIBC_FILE = /\/\S*\/libc(?:\.so\.6|-[\d.]+\.so)$/m;

/** Absolute path, or undefined on a system without glibc. */
export const libcPath = (): string | undefined => LIBC_FILE.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
