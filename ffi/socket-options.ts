/**
 * Socket options, all of them integers but one. Signatures: sys/socket.h; numbers: asm-generic/socket.h,
 * linux/netlink.h, linux/in.h, linux/in6.h, linux/sock_diag.h (uapi), the same on x86-64 and arm64.
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  setsockopt: { args: ["i32", "i32", "i32", "buffer", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "buffer", "buffer"], returns: "i32" },
});

/** An option as the pair (level, number) that names it. */
export type SocketOption = readonly [level: number, option: number];

const SOL_SOCKET = 1;
const SOL_NETLINK = 270;
const IPPROTO_IPV6 = 41;

export const Option = {
  SO_SNDBUF: [SOL_SOCKET, 7],
  /** Read back it is twice what was set: the kernel counts its own overhead. */
  SO_RCVBUF: [SOL_SOCKET, 8],
  /** Past net.core.wmem_max; needs CAP_NET_ADMIN. */
  SO_SNDBUFFORCE: [SOL_SOCKET, 32],
  /** Past net.core.rmem_max; needs CAP_NET_ADMIN. */
  SO_RCVBUFFORCE: [SOL_SOCKET, 33],
  NETLINK_ADD_MEMBERSHIP: [SOL_NETLINK, 1],
  NETLINK_DROP_MEMBERSHIP: [SOL_NETLINK, 2],
  NETLINK_NO_ENOBUFS: [SOL_NETLINK, 5],
  NETLINK_CAP_ACK: [SOL_NETLINK, 10],
  IPV6_V6ONLY: [IPPROTO_IPV6, 26],
} as const satisfies Record<string, SocketOption>;

const SO_BINDTODEVICE = 25;
const SO_MEMINFO = 55;
const MEMINFO_BYTES = 36;
/** SK_MEMINFO_DROPS, the ninth of its 32-bit words. */
const MEMINFO_DROPS_AT = 32;
/** IFNAMSIZ, the closing zero included. */
const INTERFACE_NAME_BYTES = 16;

const value = pinned(64);
const valueView = new DataView(value.buffer);
const valueLength = pinned(4);
const valueLengthView = new DataView(valueLength.buffer);

/** 0 or -errno. */
export function setOption(fd: number, [level, option]: SocketOption, setting: number): number {
  valueView.setInt32(0, setting, true);
  return negative(c.setsockopt(fd, level, option, value, 4));
}

/** The option's value (none of ours is negative), or -errno. */
export function getOption(fd: number, [level, option]: SocketOption): number {
  valueLengthView.setUint32(0, 4, true);
  const answer = negative(c.getsockopt(fd, level, option, value, valueLength));
  return answer < 0 ? answer : valueView.getInt32(0, true);
}

/** Sends and receives through this interface alone; -ENODEV when there is none of that name. */
export function bindToDevice(fd: number, interfaceName: string): number {
  value.fill(0);
  new TextEncoder().encodeInto(interfaceName, value.subarray(0, INTERFACE_NAME_BYTES - 1));
  return negative(c.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, value, INTERFACE_NAME_BYTES));
}

/** Messages the kernel dropped so far because this socket's receive buffer was full. Linux 4.12 or newer. */
export function socketDrops(fd: number): number {
  valueLengthView.setUint32(0, MEMINFO_BYTES, true);
  const answer = negative(c.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, value, valueLength));
  return answer < 0 ? answer : valueView.getUint32(MEMINFO_DROPS_AT, true);
}
