/**
 * Socket addresses as the kernel takes them. Source: netinet/in.h, linux/netlink.h, sys/un.h.
 *
 *   byte  0       2     4          8        24
 *         family  port  address                     AF_INET, 16 bytes; port and address big-endian
 *         family  port  flow info  address  scope   AF_INET6, 28 bytes; four big-endian words, an interface index
 *         family  0     port id    groups           AF_NETLINK, 12 bytes
 *         family  path                              AF_UNIX, 2 bytes + path; an abstract name starts with a zero
 *
 * The family and all of netlink in host byte order (little-endian). Words are numbers: 10.0.0.1 is 0x0a000001.
 */
import { pinned } from "./memory.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
/** Room for any address this file reads or writes except AF_UNIX. */
export const SOCKET_ADDRESS_BYTES = 28;

const UNIX_PATH_BYTES_MAX = 107;

/** Made once and kept: C may hold on to its memory. */
export interface SocketAddress {
  readonly memory: Uint8Array<ArrayBuffer>;
}

export function inetAddress(address: number, port: number): SocketAddress {
  const { memory, view } = make(AF_INET, 16);
  view.setUint16(2, port);
  view.setUint32(4, address);
  return { memory };
}

/** `scope` is the interface's index, which a link-local address (fe80::/10) needs. */
export function inet6Address(words: ArrayLike<number>, port: number, scope = 0): SocketAddress {
  const { memory, view } = make(AF_INET6, 28);
  view.setUint16(2, port);
  for (let i = 0; i < 4; i++) view.setUint32(8 + i * 4, words[i]);
  view.setUint32(24, scope, true);
  return { memory };
}

/** `portId` 0 is the kernel, or on bind "give me one"; `groups` is the old bit mask of groups 1 to 32. */
export function netlinkAddress(portId: number, groups: number): SocketAddress {
  const { memory, view } = make(AF_NETLINK, 12);
  view.setUint32(4, portId, true);
  view.setUint32(8, groups, true);
  return { memory };
}

/** A path, or an abstract name written with a leading `@` as systemd writes it; undefined when it is too long. */
export function unixAddress(path: string): SocketAddress | undefined {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > UNIX_PATH_BYTES_MAX) return undefined;
  const abstract = path.startsWith("@");
  const { memory } = make(AF_UNIX, 2 + name.length + (abstract ? 0 : 1));
  memory.set(name, 2);
  if (abstract) memory[2] = 0;
  return { memory };
}

function make(family: number, lengthBytes: number): { memory: Uint8Array<ArrayBuffer>; view: DataView } {
  const memory = pinned(lengthBytes);
  const view = new DataView(memory.buffer);
  view.setUint16(0, family, true);
  return { memory, view };
}
