/**
 * The kernel's table of a namespace, read by this process itself: how many flows it holds, and every entry of it as the
 * bytes that the kernel dumps.
 */
import { readFileSync } from "node:fs";
import { Errno } from "../../ffi/errno.ts";
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import { pinned } from "../../ffi/memory.ts";
import { receive } from "../../ffi/socket.ts";
import { CT_NEW } from "../../src/kernel/ctnetlink-attributes.ts";
import {
  AF_UNSPEC,
  align4,
  messageLength,
  messageType,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from "../../src/kernel/netlink.ts";
import { setReceiveBuffer } from "../../src/kernel/receive-buffer.ts";
import { inside } from "./enter.ts";
import type { Namespace } from "./namespace.ts";

/** The kernel fills at most 32 KB at a time. */
const RECEIVE_BYTES = 65_536;

/** Flows in the namespace's table. */
export function kernelCount(namespace: Namespace): number {
  return inside(namespace, () => Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_count", "utf8")));
}

/** Dumps the table once: `entry` is handed each one's message, [at, end) of `view`. */
export function dumpTable(namespace: Namespace, entry: (view: DataView, at: number, end: number) => void): void {
  inside(namespace, () => {
    const socket = ConntrackSocket.open(0);
    if (typeof socket === "number") throw new Error(`no ctnetlink socket: ${socket}`);
    try {
      setReceiveBuffer(socket.fd, RECEIVE_BYTES * 4);
      const asked = socket.requestDump(AF_UNSPEC);
      if (asked < 0) throw new Error(`the kernel refused the dump: ${asked}`);
      receiveDump(socket.fd, entry);
    } finally {
      socket.close();
    }
  });
}

/** The next 32 KB are there as soon as the last ones were taken, so that nothing has to be waited for. */
function receiveDump(fd: number, entry: (view: DataView, at: number, end: number) => void): void {
  const bytes = pinned(RECEIVE_BYTES);
  const view = new DataView(bytes.buffer);
  for (;;) {
    const lengthBytes = receive(fd, bytes);
    if (lengthBytes === -Errno.EAGAIN || lengthBytes === -Errno.EINTR) continue;
    if (lengthBytes < 0 || lengthBytes > RECEIVE_BYTES) throw new Error(`the dump broke off: ${lengthBytes}`);
    for (let at = 0; at + NLMSG_HEADER_BYTES <= lengthBytes; ) {
      const type = messageType(view, at);
      const messageBytes = messageLength(view, at);
      if (type === NLMSG_DONE) return;
      if (type === NLMSG_ERROR) throw new Error("the kernel ended the dump with an error");
      if (type === CT_NEW) entry(view, at, at + messageBytes);
      at += align4(messageBytes);
    }
  }
}
