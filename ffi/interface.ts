/**
 * Network interfaces by name, in this process's network namespace (which /sys may not show).
 * Signatures: net/if.h, sys/ioctl.h; numbers: linux/sockios.h (uapi).
 *
 *   struct ifreq   name, 16 bytes, closed by a zero; then the answer: MTU as i32, or flags as u16; 40 bytes in all
 */
import { Errno, negative } from "./errno.ts";
import { close } from "./libc.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";
import { openSocket, SOCK_DGRAM } from "./socket.ts";
import { AF_INET } from "./socket-address.ts";

const c = load("libc.so.6", "libc6", {
  if_nametoindex: { args: ["cstring"], returns: "u32" },
  ioctl: { args: ["i32", "u64_fast", "buffer"], returns: "i32" },
});

const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const NAME_BYTES = 16;
const IFREQ_BYTES = 40;

/** 1 or more, or -ENODEV. */
export const interfaceIndex = (interfaceName: string): number => c.if_nametoindex(interfaceName) || -Errno.ENODEV;

/** In bytes, or -errno (-ENODEV when there is no such interface). */
export function interfaceMtuBytes(interfaceName: string): number {
  const request = ask(SIOCGIFMTU, interfaceName);
  return typeof request === "number" ? request : request.getInt32(NAME_BYTES, true);
}

/** 1 when it is up and has a carrier, 0 when not, or -errno. */
export function interfaceRunning(interfaceName: string): number {
  const request = ask(SIOCGIFFLAGS, interfaceName);
  if (typeof request === "number") return request;
  const wanted = IFF_UP | IFF_RUNNING;
  return (request.getUint16(NAME_BYTES, true) & wanted) === wanted ? 1 : 0;
}

/** The kernel's answer, or -errno. */
function ask(question: number, interfaceName: string): DataView | number {
  const request = pinned(IFREQ_BYTES);
  new TextEncoder().encodeInto(interfaceName, request.subarray(0, NAME_BYTES - 1));
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  const answer = negative(c.ioctl(fd, question, request));
  close(fd);
  return answer < 0 ? answer : new DataView(request.buffer);
}
