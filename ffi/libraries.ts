/**
 * The three netfilter libraries ctsync carries inside its executable, and how they come to life without a disk.
 *
 * Each is written into an anonymous file (memfd) and loaded as /proc/self/fd/N, so a read-only or noexec disk works
 * and nobody can plant a file (D-001). libnetfilter_conntrack needs the other two: glibc finds them by soname among the
 * libraries that are loaded already, so they go first.
 * From source the same files come from ffi/lib, which `bun build.ts --libraries` fills.
 */
import { dlopen } from "bun:ffi";
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import mnl from "./lib/libmnl.so.0" with { type: "file" };
import conntrack from "./lib/libnetfilter_conntrack.so.3" with { type: "file" };
import nfnetlink from "./lib/libnfnetlink.so.0" with { type: "file" };
import { libcPath } from "./libc-path.ts";

const MFD_CLOEXEC = 1;

interface Library {
  readonly soname: string;
  readonly file: string;
  /** Any function of it: bun:ffi loads a library only together with a symbol. */
  readonly symbol: string;
}

/** In the order they must be loaded. */
const LIBRARIES: readonly Library[] = [
  { soname: "libmnl.so.0", file: mnl, symbol: "mnl_socket_get_portid" },
  { soname: "libnfnetlink.so.0", file: nfnetlink, symbol: "nfnl_portid" },
  { soname: "libnetfilter_conntrack.so.3", file: conntrack, symbol: "nfct_new" },
];

let paths: Map<string, string> | undefined;

/** A path `dlopen` can load `soname` from, or undefined when it is none of the three. Throws when memory files fail. */
export function embeddedPath(soname: string): string | undefined {
  if (!LIBRARIES.some((library) => library.soname === soname)) return undefined;
  paths ??= loadAll();
  return paths.get(soname);
}

/** The descriptors stay open: glibc takes a path it has seen for the same library, so a number must not be reused. */
function loadAll(): Map<string, string> {
  const loaded = new Map<string, string>();
  for (const { soname, file, symbol } of LIBRARIES) {
    const path = `/proc/self/fd/${memoryFile(soname, readFileSync(file))}`;
    dlopen(path, { [symbol]: { args: [], returns: "void" } });
    loaded.set(soname, path);
  }
  return loaded;
}

function memoryFile(name: string, content: Uint8Array): number {
  const libc = libcPath();
  if (libc === undefined) throw new Error("ctsync needs glibc, which this process does not run on");
  const { symbols } = dlopen(libc, { memfd_create: { args: ["cstring", "u32"], returns: "i32" } });
  const fd = symbols.memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) throw new Error("memfd_create failed (Linux 3.17 or newer and free memory are needed)");
  try {
    writeFileSync(fd, content);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
