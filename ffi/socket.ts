/**
 * Sockets, one call at a time; for many datagrams a call see receive-batch.ts and send-batch.ts.
 * Signatures: sys/socket.h. Every wrapper answers 0 or more, or -errno. No call waits.
 */
import { negative } from "./errno.ts";
import { load } from "./load.ts";
import { pinned } from "./memory.ts";
import type { SocketAddress } from "./socket-address.ts";

const c = load("libc.so.6", "libc6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "buffer", "u32"], returns: "i32" },
  connect: { args: ["i32", "buffer", "u32"], returns: "i32" },
  getsockname: { args: ["i32", "buffer", "buffer"], returns: "i32" },
  recv: { args: ["i32", "buffer", "u64_fast", "i32"], returns: "i64_fast" },
  send: { args: ["i32", "buffer", "u64_fast", "i32"], returns: "i64_fast" },
  sendto: { args: ["i32", "buffer", "u64_fast", "i32", "buffer", "u32"], returns: "i64_fast" },
});

export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;

export const MSG_DONTWAIT = 0x40;
/** A closed stream answers EPIPE instead of ending the process with SIGPIPE. */
export const MSG_NOSIGNAL = 0x4000;
export const MSG_TRUNC = 0x20;

/** A descriptor that is closed on exec and never waits. */
export const openSocket = (family: number, type: number, protocol: number): number =>
  negative(c.socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));

export const bind = (fd: number, { memory }: SocketAddress): number => negative(c.bind(fd, memory, memory.length));

/** For datagrams: fixes the peer, so the kernel drops every other sender's. */
export const connect = (fd: number, { memory }: SocketAddress): number =>
  negative(c.connect(fd, memory, memory.length));

/** Length of the datagram in `into`; longer than `into` when the rest of it was cut off. -EAGAIN when none waits. */
export const receive = (fd: number, into: Uint8Array): number =>
  negative(c.recv(fd, into, into.length, MSG_DONTWAIT | MSG_TRUNC));

export const send = (fd: number, bytes: Uint8Array, lengthBytes: number): number =>
  negative(c.send(fd, bytes, lengthBytes, MSG_DONTWAIT | MSG_NOSIGNAL));

export const sendTo = (fd: number, bytes: Uint8Array, lengthBytes: number, { memory }: SocketAddress): number =>
  negative(c.sendto(fd, bytes, lengthBytes, MSG_DONTWAIT | MSG_NOSIGNAL, memory, memory.length));

const name = pinned(128);
const nameView = new DataView(name.buffer);
const nameLength = pinned(4);
const nameLengthView = new DataView(nameLength.buffer);

/** The number the kernel knows a netlink socket by: who sent a request, and where its answers go. */
export function netlinkPortId(fd: number): number {
  const answer = readName(fd);
  return answer < 0 ? answer : nameView.getUint32(4, true);
}

/** The UDP or TCP port of a bound socket of either family. */
export function localPort(fd: number): number {
  const answer = readName(fd);
  return answer < 0 ? answer : nameView.getUint16(2);
}

function readName(fd: number): number {
  nameLengthView.setUint32(0, name.length, true);
  return negative(c.getsockname(fd, name, nameLength));
}
