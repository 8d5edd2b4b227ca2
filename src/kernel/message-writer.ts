/**
 * Writes netlink messages one behind the other into one buffer: a batch for a single `sendto`.
 *
 * Scalar attributes are at most 4 bytes long and so always take 8: header, then the value, big-endian, padded with
 * zeros. Layout: netlink.ts. The caller
leaves MESSAGE_BYTES_MAX for each message; nothing here is allocated per message.
 */
import { CTNETLINK_HEADER_BYTES } from "./ctnetlink-attributes.ts";
import {
  ATTRIBUTE_HEADER_BYTES,
  align4,
  FLAGS_AT,
  LENGTH_AT,
  NLA_F_NESTED,
  NLM_F_REQUEST,
  NLMSG_HEADER_BYTES,
  PORT_ID_AT,
  SEQUENCE_AT,
  TYPE_AT,
} from "./netlink.ts";

/** More than the longest message we build: three IPv6 tuples, NAT both ways and every extension take 620 bytes. */
export const MESSAGE_BYTES_MAX = 768;

export class MessageWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Bytes written so far. */
  at = 0;
  #start = 0;

  constructor(lengthBytes: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(lengthBytes));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Starts a ctnetlink message; NLM_F_REQUEST is added to `flags`. The kernel fills in our port id. */
  begin(type: number, flags: number, sequence: number, addressFamily: number): void {
    const { view, at } = this;
    this.#start = at;
    view.setUint16(at + TYPE_AT, type, true);
    view.setUint16(at + FLAGS_AT, flags | NLM_F_REQUEST, true);
    view.setUint32(at + SEQUENCE_AT, sequence, true);
    view.setUint32(at + PORT_ID_AT, 0, true);
    view.setUint32(at + NLMSG_HEADER_BYTES, addressFamily, true); // nfgenmsg: family, then version and resource 0.
    this.at = at + CTNETLINK_HEADER_BYTES;
  }

  end(): void {
    this.view.setUint32(this.#start + LENGTH_AT, this.at - this.#start, true);
  }

  /** Opens a nested attribute; `unnest` takes the answer and closes it. */
  nest(type: number): number {
    const at = this.at;
    this.view.setUint16(at + 2, type | NLA_F_NESTED, true);
    this.at = at + ATTRIBUTE_HEADER_BYTES;
    return at;
  }

  unnest(start: number): void {
    this.view.setUint16(start, this.at - start, true);
  }

  u8(type: number, value: number): void {
    this.#scalar(5, type, (value << 24) >>> 0);
  }

  u16(type: number, value: number): void {
    this.#scalar(6, type, (value << 16) >>> 0);
  }

  u32(type: number, value: number): void {
    this.#scalar(8, type, value);
  }

  /** 16 bytes from four words: an IPv6 address in order, big-endian. */
  address6(type: number, words: Uint32Array, from: number): void {
    const { view, at } = this;
    view.setUint16(at, 20, true);
    view.setUint16(at + 2, type, true);
    for (let i = 0; i < 4; i++) view.setUint32(at + 4 + i * 4, words[from + i]);
    this.at = at + 20;
  }

  /** 16 bytes from four words, as a bit set lies in a little-endian machine's memory. */
  bitSet(type: number, words: Uint32Array, from: number): void {
    const { view, at } = this;
    view.setUint16(at, 20, true);
    view.setUint16(at + 2, type, true);
    for (let i = 0; i < 4; i++) view.setUint32(at + 4 + i * 4, words[from + i], true);
    this.at = at + 20;
  }

  /** A name of at most 15 characters held big-endian in four words, with one terminating zero. */
  name(type: number, words: Uint32Array, from: number): void {
    const { view, at } = this;
    let length = 0;
    while (length < 15 && ((words[from + (length >> 2)] >>> (24 - (length & 3) * 8)) & 0xff) !== 0) length++;
    for (let i = 0; i < 4; i++) view.setUint32(at + 4 + i * 4, words[from + i]);
    view.setUint16(at, ATTRIBUTE_HEADER_BYTES + length + 1, true);
    view.setUint16(at + 2, type, true);
    this.at = at + align4(ATTRIBUTE_HEADER_BYTES + length + 1);
  }

  /** A string in ASCII with its terminating zero. */
  text(type: number, text: string): void {
    const { view, at } = this;
    const lengthBytes = ATTRIBUTE_HEADER_BYTES + text.length + 1;
    view.setUint16(at, lengthBytes, true);
    view.setUint16(at + 2, type, true);
    this.at = at + align4(lengthBytes);
    for (let i = 0; at + ATTRIBUTE_HEADER_BYTES + i < this.at; i++)
      view.setUint8(at + ATTRIBUTE_HEADER_BYTES + i, text.charCodeAt(i) & 0x7f);
  }

  u64(type: number, value: number): void {
    const { view, at } = this;
    view.setUint16(at, 12, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32));
    view.setUint32(at + 8, value >>> 0);
    this.at = at + 12;
  }

  /** Bytes as they are. */
  raw(type: number, bytes: ArrayLike<number>): void {
    const { view, at } = this;
    const lengthBytes = ATTRIBUTE_HEADER_BYTES + bytes.length;
    view.setUint16(at, lengthBytes, true);
    view.setUint16(at + 2, type, true);
    this.bytes.set(bytes, at + ATTRIBUTE_HEADER_BYTES);
    this.at = at + align4(lengthBytes);
    this.bytes.fill(0, at + lengthBytes, this.at);
  }

  clear(): void {
    this.at = 0;
  }

  #scalar(lengthBytes: number, type: number, bigEndian: number): void {
    const { view, at } = this;
    view.setUint32(at, lengthBytes | (type << 16), true); // Length and type at once.
    view.setUint32(at + 4, bigEndian);
    this.at = at + 8;
  }
}
