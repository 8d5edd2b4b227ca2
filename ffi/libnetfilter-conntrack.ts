/**
 * libnetfilter_conntrack ≥ 1.0.9. Signatures: libnetfilter_conntrack.h. Raw pointers do not leave this file.
 *
 * The library trusts its caller: building into memory without a header, or parsing a message whose length lies, ends
 * the whole process. So messages are built here from the header on, in memory of our own, and lengths are checked
 * before they are parsed; a call that would break these rules throws.
 */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { Errno, negative } from "./errno.ts";
import { load } from "./load.ts";
import { addressOf, pinned } from "./memory.ts";

const c = load("libnetfilter_conntrack.so.3", "libnetfilter-conntrack3", {
  nfct_open: { args: ["u8", "u32"], returns: "ptr" },
  nfct_fd: { args: ["ptr"], returns: "i32" },
  nfct_close: { args: ["ptr"], returns: "i32" },
  nfct_send: { args: ["ptr", "i32", "buffer"], returns: "i32" },
  nfexp_send: { args: ["ptr", "i32", "buffer"], returns: "i32" },
  nfct_new: { args: [], returns: "ptr" },
  nfct_destroy: { args: ["ptr"], returns: "void" },
  nfct_set_attr: { args: ["ptr", "i32", "buffer"], returns: "void" },
  nfct_set_attr_u8: { args: ["ptr", "i32", "u8"], returns: "void" },
  nfct_set_attr_u16: { args: ["ptr", "i32", "u16"], returns: "void" },
  nfct_set_attr_u32: { args: ["ptr", "i32", "u32"], returns: "void" },
  nfct_get_attr: { args: ["ptr", "i32"], returns: "ptr" },
  nfct_get_attr_u8: { args: ["ptr", "i32"], returns: "u8" },
  nfct_get_attr_u16: { args: ["ptr", "i32"], returns: "u16" },
  nfct_get_attr_u32: { args: ["ptr", "i32"], returns: "u32" },
  nfct_attr_is_set: { args: ["ptr", "i32"], returns: "i32" },
  nfct_nlmsg_build: { args: ["ptr", "ptr"], returns: "i32" },
  nfct_nlmsg_parse: { args: ["ptr", "ptr"], returns: "i32" },
  nfct_snprintf: { args: ["buffer", "u32", "ptr", "u32", "u32", "u32"], returns: "i32" },
  nfct_bitmask_test_bit: { args: ["ptr", "u32"], returns: "i32" },
});

/** enum nf_conntrack_attr, as far as ctsync names it. */
export const Attribute = {
  ORIG_IPV4_SRC: 0,
  ORIG_IPV4_DST: 1,
  REPL_IPV4_SRC: 2,
  REPL_IPV4_DST: 3,
  ORIG_IPV6_SRC: 4,
  ORIG_IPV6_DST: 5,
  REPL_IPV6_SRC: 6,
  REPL_IPV6_DST: 7,
  ORIG_PORT_SRC: 8,
  ORIG_PORT_DST: 9,
  REPL_PORT_SRC: 10,
  REPL_PORT_DST: 11,
  ICMP_TYPE: 12,
  ICMP_CODE: 13,
  ICMP_ID: 14,
  ORIG_L3PROTO: 15,
  REPL_L3PROTO: 16,
  ORIG_L4PROTO: 17,
  REPL_L4PROTO: 18,
  TCP_STATE: 19,
  SNAT_IPV4: 20,
  DNAT_IPV4: 21,
  SNAT_PORT: 22,
  DNAT_PORT: 23,
  TIMEOUT: 24,
  MARK: 25,
  STATUS: 32,
  TCP_FLAGS_ORIG: 33,
  TCP_FLAGS_REPL: 34,
  TCP_MASK_ORIG: 35,
  TCP_MASK_REPL: 36,
  MASTER_IPV4_SRC: 37,
  MASTER_IPV4_DST: 38,
  MASTER_IPV6_SRC: 39,
  MASTER_IPV6_DST: 40,
  MASTER_PORT_SRC: 41,
  MASTER_PORT_DST: 42,
  MASTER_L3PROTO: 43,
  MASTER_L4PROTO: 44,
  ORIG_NAT_SEQ_CORRECTION_POS: 46,
  ORIG_NAT_SEQ_OFFSET_BEFORE: 47,
  ORIG_NAT_SEQ_OFFSET_AFTER: 48,
  REPL_NAT_SEQ_CORRECTION_POS: 49,
  REPL_NAT_SEQ_OFFSET_BEFORE: 50,
  REPL_NAT_SEQ_OFFSET_AFTER: 51,
  SCTP_STATE: 52,
  SCTP_VTAG_ORIG: 53,
  SCTP_VTAG_REPL: 54,
  HELPER_NAME: 55,
  DCCP_STATE: 56,
  DCCP_ROLE: 57,
  TCP_WSCALE_ORIG: 59,
  TCP_WSCALE_REPL: 60,
  ZONE: 61,
  CONNLABELS: 66,
  ORIG_ZONE: 68,
  REPL_ZONE: 69,
  SNAT_IPV6: 70,
  DNAT_IPV6: 71,
  SYNPROXY_ISN: 72,
  SYNPROXY_ITS: 73,
  SYNPROXY_TSOFF: 74,
} as const;
export type Attribute = (typeof Attribute)[keyof typeof Attribute];

const NFNL_SUBSYS_CTNETLINK = 1;
const NFNL_SUBSYS_CTNETLINK_EXP = 2;
const NFCT_Q_DUMP = 5;
const NLMSG_HEADER_BYTES = 16;
const CTNETLINK_HEADER_BYTES = 20;
const MESSAGE_BYTES_MAX = 4096;

/** Multicast groups of `ConntrackSocket.open`. */
export const GROUP_NEW = 1;
export const GROUP_UPDATE = 2;
export const GROUP_DESTROY = 4;
/** Those of `ConntrackSocket.openExpectations`. */
export const GROUP_EXP_NEW = 8;
export const GROUP_EXP_DESTROY = 32;

/** A netlink socket the library opened, ours until `close`. */
export class ConntrackSocket {
  readonly fd: number;
  readonly #expectations: boolean;
  #handle: Pointer | null;

  /** Subscribed to `groups`, or -errno. */
  static open(groups: number): ConntrackSocket | number {
    return ConntrackSocket.#open(NFNL_SUBSYS_CTNETLINK, groups);
  }

  /** The same for the kernel's expectations: what comes, and what a dump holds, are theirs. */
  static openExpectations(groups: number): ConntrackSocket | number {
    return ConntrackSocket.#open(NFNL_SUBSYS_CTNETLINK_EXP, groups);
  }

  static #open(subsystem: number, groups: number): ConntrackSocket | number {
    const handle = c.nfct_open(subsystem, groups);
    if (handle === null) return negative(-1);
    return new ConntrackSocket(handle, subsystem === NFNL_SUBSYS_CTNETLINK_EXP);
  }

  private constructor(handle: Pointer, expectations: boolean) {
    this.#handle = handle;
    this.#expectations = expectations;
    this.fd = c.nfct_fd(handle);
  }

  /** Sends the request to dump the table, both families with AF_UNSPEC (0); 0 or -errno. */
  requestDump(addressFamily: number): number {
    if (this.#handle === null) return -Errno.EBADF;
    request[0] = addressFamily;
    const send = this.#expectations ? c.nfexp_send : c.nfct_send;
    return Math.min(negative(send(this.#handle, NFCT_Q_DUMP, request)), 0);
  }

  close(): void {
    if (this.#handle !== null) c.nfct_close(this.#handle);
    this.#handle = null;
  }
}
const request = new Uint32Array(new ArrayBuffer(4));

const message = pinned(MESSAGE_BYTES_MAX);
const messageView = new DataView(message.buffer);
const messageAddress = addressOf(message);
const text = pinned(MESSAGE_BYTES_MAX);

/** A `struct nf_conntrack` this process owns until `destroy`. Numbers are in host byte order unless said otherwise. */
export class ConntrackObject {
  #ct: Pointer | null;

  constructor() {
    this.#ct = c.nfct_new();
    if (this.#ct === null) throw new Error("out of memory");
  }

  destroy(): void {
    if (this.#ct !== null) c.nfct_destroy(this.#ct);
    this.#ct = null;
  }

  has(attribute: Attribute): boolean {
    return c.nfct_attr_is_set(this.#pointer, attribute) > 0;
  }

  /** 0 when the attribute is unset, as for the other getters. Addresses and ports come as they lie, big-endian. */
  u8(attribute: Attribute): number {
    return c.nfct_get_attr_u8(this.#pointer, attribute);
  }

  u16(attribute: Attribute): number {
    return c.nfct_get_attr_u16(this.#pointer, attribute);
  }

  u32(attribute: Attribute): number {
    return c.nfct_get_attr_u32(this.#pointer, attribute);
  }

  /** A copy of an IPv6 address's 16 bytes; undefined when it is unset. */
  address6(attribute: AddressAttribute): Uint8Array | undefined {
    const at = c.nfct_get_attr(this.#pointer, attribute);
    return at === null ? undefined : new Uint8Array(toArrayBuffer(at, 0, 16)).slice();
  }

  /** The helper's name, undefined when there is none. */
  helper(): string | undefined {
    const at = c.nfct_get_attr(this.#pointer, Attribute.HELPER_NAME);
    if (at === null) return undefined;
    const name = new Uint8Array(toArrayBuffer(at, 0, HELPER_NAME_BYTES));
    return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  }

  hasLabel(label: number): boolean {
    const labels = c.nfct_get_attr(this.#pointer, Attribute.CONNLABELS);
    return labels !== null && c.nfct_bitmask_test_bit(labels, label) > 0;
  }

  setU8(attribute: Attribute, value: number): void {
    c.nfct_set_attr_u8(this.#pointer, attribute, value);
  }

  setU16(attribute: Attribute, value: number): void {
    c.nfct_set_attr_u16(this.#pointer, attribute, value);
  }

  setU32(attribute: Attribute, value: number): void {
    c.nfct_set_attr_u32(this.#pointer, attribute, value);
  }

  setAddress6(attribute: AddressAttribute, address: Uint8Array): void {
    if (address.length !== 16) throw new Error(`an IPv6 address of ${address.length} bytes`);
    c.nfct_set_attr(this.#pointer, attribute, address);
  }

  setHelper(name: string): void {
    const bytes = new TextEncoder().encode(`${name}\0`);
    if (bytes.length > HELPER_NAME_BYTES) throw new Error(`a helper's name of ${bytes.length} bytes`);
    c.nfct_set_attr(this.#pointer, Attribute.HELPER_NAME, bytes);
  }

  /** Appends the ctnetlink message of this object to a fresh header; a view of it, valid until the next `build`. */
  build(type: number, flags: number, sequence: number, addressFamily: number): Uint8Array {
    message.fill(0, 0, CTNETLINK_HEADER_BYTES);
    messageView.setUint32(0, CTNETLINK_HEADER_BYTES, true);
    messageView.setUint16(4, type, true);
    messageView.setUint16(6, flags, true);
    messageView.setUint32(8, sequence, true);
    messageView.setUint8(NLMSG_HEADER_BYTES, addressFamily);
    c.nfct_nlmsg_build(messageAddress, this.#pointer);
    return message.subarray(0, messageView.getUint32(0, true));
  }

  /** Reads the ctnetlink message that fills `bytes` exactly; false when the library refuses it. */
  parse(bytes: Uint8Array): boolean {
    if (bytes.length < CTNETLINK_HEADER_BYTES || bytes.length > MESSAGE_BYTES_MAX) return false;
    message.set(bytes);
    if (messageView.getUint32(0, true) !== bytes.length) return false;
    return c.nfct_nlmsg_parse(messageAddress, this.#pointer) === 0;
  }

  /** The library's own text form, as `conntrack -L` prints it. */
  text(): string {
    const lengthBytes = c.nfct_snprintf(text, text.length, this.#pointer, 0, 0, 0);
    return new TextDecoder().decode(text.subarray(0, Math.max(0, Math.min(lengthBytes, text.length - 1))));
  }

  get #pointer(): Pointer {
    if (this.#ct === null) throw new Error("a conntrack object was used after its end");
    return this.#ct;
  }
}

/** The library's own limit, NFCT_HELPER_NAME_MAX. */
const HELPER_NAME_BYTES = 16;
type AddressAttribute =
  | typeof Attribute.ORIG_IPV6_SRC
  | typeof Attribute.ORIG_IPV6_DST
  | typeof Attribute.REPL_IPV6_SRC
  | typeof Attribute.REPL_IPV6_DST
  | typeof Attribute.MASTER_IPV6_SRC
  | typeof Attribute.MASTER_IPV6_DST
  | typeof Attribute.SNAT_IPV6
  | typeof Attribute.DNAT_IPV6;
