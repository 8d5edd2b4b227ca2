/**
 * Opening a C library with typed symbols. Nothing else in ctsync calls `dlopen` with a name.
 *
 * A library is loaded from an absolute path or a descriptor, never by its soname: bun:ffi falls back to the working
 * directory, where anybody could have left one (D-001).
 */
import { dlopen, type FFIFunction, type Pointer } from "bun:ffi";
import { libcPath } from "./libc-path.ts";
import { embeddedPath } from "./libraries.ts";

/** What each C type takes from us. Plain `i64` and `u64` are left out: they make a BigInt at every call. */
interface Arguments {
  readonly u8: number;
  readonly u16: number;
  readonly i32: number;
  readonly u32: number;
  readonly i64_fast: number;
  readonly u64_fast: number;
  readonly ptr: Pointer | null;
  /** The memory of a view, for the length of the call. */
  readonly buffer: NodeJS.TypedArray | DataView;
  readonly cstring: string;
}

/** What each C type answers. A `…_fast` number is exact below 2^53, where all of ours are. */
interface Answers {
  readonly u8: number;
  readonly u16: number;
  readonly i32: number;
  readonly u32: number;
  readonly i64_fast: number;
  readonly u64_fast: number;
  readonly ptr: Pointer | null;
  readonly cstring: string | null;
  readonly void: undefined;
}

interface CFunction {
  readonly args: readonly (keyof Arguments)[];
  readonly returns: keyof Answers;
}

type Calls<S> = {
  readonly [K in keyof S]: S[K] extends {
    args: infer A extends readonly (keyof Arguments)[];
    returns: infer R extends keyof Answers;
  }
    ? (...args: { [I in keyof A]: Arguments[A[I]] }) => Answers[R]
    : never;
};

/** A library that is missing or too old; the message says what to install. */
export class LibraryError extends Error {}

export function load<const S extends Record<string, CFunction>>(
  soname: string,
  debianPackage: string,
  symbols: S,
): Calls<S> {
  const advice = `Install Debian's ${debianPackage} (or build ctsync again where it is installed)`;
  try {
    const path = soname === "libc.so.6" ? libcPath() : embeddedPath(soname);
    if (path === undefined) throw new Error("no such library in this process or in the executable");
    return dlopen(path, symbols as unknown as Record<string, FFIFunction>).symbols as unknown as Calls<S>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LibraryError(`cannot load ${soname}: ${reason}. ${advice}.`);
  }
}
