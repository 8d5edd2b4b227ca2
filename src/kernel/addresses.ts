/**
 * The machine's own addresses and links, through rtnetlink: the filter leaves out flows of the firewall itself, and the
 * daemon waits here for an interface that is not there yet.
 *
 *   struct ifaddrmsg   byte 16      17      18     19     20     24
 *                           family  prefix  flags  scope  index  attributes (IFA_LOCAL, IFA_ADDRESS: big-endian)
 *
 * Source: rtnetlink(7), linux/rtnetlink.h, linux/if_addr.h. None of this is a hot path.
 */
import { Errno } from "../../ffi/errno.ts";
import { interfaceIndex, interfaceMtuBytes, interfaceRunning } from "../../ffi/interface.ts";
import { close } from "../../ffi/libc.ts";
import { pinned } from "../../ffi/memory.ts";
import { bind, openSocket, receive, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_NETLINK, netlinkAddress } from "../../ffi/socket-address.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { type KernelError, kernelError } from "./kernel-error.ts";
import {
  AF_INET,
  AF_INET6,
  ATTRIBUTE_HEADER_BYTES,
  align4,
  attributeEnd,
  attributeType,
  ERROR_AT,
  FLAGS_AT,
  LENGTH_AT,
  messageLength,
  messageType,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
  nextAttribute,
  TYPE_AT,
} from "./netlink.ts";

const NETLINK_ROUTE = 0;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFADDRMSG_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;

const RECEIVE_BYTES = 65_536;
const OPERATION = "list this machine's addresses";

/** An address as a `Flow` holds it: four words, the last three 0 for IPv4. */
export interface OwnAddress {
  readonly family: 4 | 6;
  readonly words: readonly [number, number, number, number];
}

/** Every address of every interface, loopback included. */
export function ownAddresses(): Result<OwnAddress[], KernelError> {
  const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0) return refuse(kernelError(OPERATION, fd));
  try {
    return dumpAddresses(fd);
  } finally {
    close(fd);
  }
}

/** The kernel answers a dump while we ask, so nothing here waits: no more data before the end is a failure. */
function dumpAddresses(fd: number): Result<OwnAddress[], KernelError> {
  const bytes = pinned(RECEIVE_BYTES);
  const view = new DataView(bytes.buffer);
  const lengthBytes = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES;
  view.setUint32(LENGTH_AT, lengthBytes, true);
  view.setUint16(TYPE_AT, RTM_GETADDR, true);
  view.setUint16(FLAGS_AT, NLM_F_REQUEST | NLM_F_DUMP, true);
  const sent = sendTo(fd, bytes, lengthBytes, netlinkAddress(0, 0));
  if (sent < 0) return refuse(kernelError(OPERATION, sent));
  const found: OwnAddress[] = [];
  for (;;) {
    const received = receive(fd, bytes);
    if (received < 0) return refuse(kernelError(OPERATION, received));
    const end = readAddresses(view, Math.min(received, RECEIVE_BYTES), found);
    if (end < 0) return refuse(kernelError(OPERATION, end));
    if (end > 0) return succeed(found);
  }
}

/** Reads the messages before `end`: 1 at the dump's end, 0 when more follows, or -errno. */
export function readAddresses(view: DataView, end: number, found: OwnAddress[]): number {
  for (let at = 0; at + NLMSG_HEADER_BYTES <= end; ) {
    const lengthBytes = messageLength(view, at);
    if (lengthBytes < NLMSG_HEADER_BYTES || at + lengthBytes > end) return -Errno.EPROTO;
    const type = messageType(view, at);
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      // Both may carry a negative errno; an error that carries none is no answer to a dump.
      const errno = lengthBytes >= ERROR_AT + 4 ? view.getInt32(at + ERROR_AT, true) : 0;
      return errno < 0 ? errno : type === NLMSG_DONE ? 1 : -Errno.EPROTO;
    }
    if (type === RTM_NEWADDR && lengthBytes >= NLMSG_HEADER_BYTES + IFADDRMSG_BYTES) {
      const address = readAddress(view, at, at + lengthBytes);
      if (address !== undefined) found.push(address);
    }
    at += align4(lengthBytes);
  }
  return 0;
}

/** IFA_LOCAL is ours; where it is missing (IPv6), so is IFA_ADDRESS. On a point-to-point link that is the other end. */
function readAddress(view: DataView, at: number, end: number): OwnAddress | undefined {
  const family = view.getUint8(at + NLMSG_HEADER_BYTES);
  const wanted = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  if (wanted === 0) return undefined;
  let local = -1;
  let address = -1;
  at += NLMSG_HEADER_BYTES + IFADDRMSG_BYTES;
  while (at + ATTRIBUTE_HEADER_BYTES <= end) {
    const payload = at + ATTRIBUTE_HEADER_BYTES;
    const payloadEnd = attributeEnd(view, at, end);
    if (payloadEnd < 0) break;
    const type = attributeType(view, at);
    if (payloadEnd - payload === wanted && type === IFA_LOCAL) local = payload;
    if (payloadEnd - payload === wanted && type === IFA_ADDRESS) address = payload;
    at = nextAttribute(at, payloadEnd);
  }
  const from = local >= 0 ? local : address;
  if (from < 0) return undefined;
  if (family === AF_INET) return { family: 4, words: [view.getUint32(from), 0, 0, 0] };
  const word = (i: number): number => view.getUint32(from + i * 4);
  return { family: 6, words: [word(0), word(1), word(2), word(3)] };
}

/** Says when addresses or links change: `fd` turns readable, `changed` empties it. */
export class AddressWatch {
  readonly fd: number;
  readonly #bytes = pinned(RECEIVE_BYTES);

  static open(): Result<AddressWatch, KernelError> {
    const operation = "watch this machine's addresses and links";
    const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (fd < 0) return refuse(kernelError(operation, fd));
    const answer = bind(fd, netlinkAddress(0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR));
    if (answer < 0) {
      close(fd);
      return refuse(kernelError(operation, answer));
    }
    return succeed(new AddressWatch(fd));
  }

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Whether anything changed since the last call. Lost notifications (ENOBUFS) are changes too. */
  changed(): boolean {
    let any = false;
    for (;;) {
      const received = receive(this.fd, this.#bytes);
      if (received >= 0 || received === -Errno.ENOBUFS) any = true;
      else if (received !== -Errno.EINTR) return any;
    }
  }

  close(): void {
    close(this.fd);
  }
}

export interface LinkState {
  readonly index: number;
  /** Up, with a carrier. */
  readonly running: boolean;
  readonly mtuBytes: number;
}

/** Of the interface of this name; undefined when there is none, or it went away just now. */
export function linkState(interfaceName: string): LinkState | undefined {
  const index = interfaceIndex(interfaceName);
  const running = interfaceRunning(interfaceName);
  const mtuBytes = interfaceMtuBytes(interfaceName);
  if (index < 0 || running < 0 || mtuBytes < 0) return undefined;
  return { index, running: running === 1, mtuBytes };
}
