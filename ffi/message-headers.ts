/**
 * The array that `recvmmsg` and `sendmmsg` take: one `struct mmsghdr` a message, with its `struct iovec` and address.
 * Source: sys/socket.h, sys/uio.h, 64-bit, little-endian.
 *
 *   struct mmsghdr  byte  0     8         16     24      32       40           48     56      (64 bytes)
 *                         name  name len  iovec  iovecs  control  control len  flags  msg len
 *   struct iovec    byte  0     8
 *                         base  length
 *
 * Message i's bytes start at `bytes[offset(i)]`, its address slot at `names[nameOffset(i)]`. All of it is taken once
 * and stays put.
 */
import type { Pointer } from "bun:ffi";
import { addressOf, pinned, storeAddress } from "./memory.ts";
import { SOCKET_ADDRESS_BYTES } from "./socket-address.ts";

const HEADER_BYTES = 64;
const IOVEC_BYTES = 16;
/** Messages start at a multiple of this, so that every field inside is aligned as in C. */
const ALIGN_BYTES = 16;
/** An address slot, rounded up from 28. */
const NAME_BYTES = 32;

/** Indexes of 32-bit words in a header. */
export const HEADER_WORDS = HEADER_BYTES / 4;
export const NAME_LENGTH_WORD = 2;
export const FLAGS_WORD = 12;
export const LENGTH_WORD = 14;
const NAME_AT = 0;
const IOVEC_AT = 16;
const IOVECS_AT = 24;

export class MessageHeaders {
  readonly messagesMax: number;
  readonly bytesEach: number;
  readonly strideBytes: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly names: Uint8Array<ArrayBuffer>;
  readonly namesView: DataView;
  /** The headers as 32-bit words, `HEADER_WORDS` a message. */
  readonly words: Uint32Array;
  /** The iovecs as 32-bit words, 4 a message; word 2 is the length. */
  readonly iovecWords: Uint32Array;
  readonly #headers: Uint8Array<ArrayBuffer>;
  readonly #iovecs: Uint8Array<ArrayBuffer>;
  readonly #address: Pointer;

  constructor(messagesMax: number, bytesEach: number, withNames: boolean) {
    this.messagesMax = messagesMax;
    this.bytesEach = bytesEach;
    this.strideBytes = Math.ceil(bytesEach / ALIGN_BYTES) * ALIGN_BYTES;
    this.bytes = pinned(messagesMax * this.strideBytes);
    this.view = new DataView(this.bytes.buffer);
    this.names = pinned(messagesMax * NAME_BYTES);
    this.namesView = new DataView(this.names.buffer);
    this.#headers = pinned(messagesMax * HEADER_BYTES);
    this.#iovecs = pinned(messagesMax * IOVEC_BYTES);
    this.#address = addressOf(this.#headers);
    this.words = new Uint32Array(this.#headers.buffer);
    this.iovecWords = new Uint32Array(this.#iovecs.buffer);
    const headers = new DataView(this.#headers.buffer);
    const iovecs = new DataView(this.#iovecs.buffer);
    for (let i = 0; i < messagesMax; i++) {
      storeAddress(iovecs, i * IOVEC_BYTES, addressOf(this.bytes, this.offset(i)));
      iovecs.setUint32(i * IOVEC_BYTES + 8, bytesEach, true);
      storeAddress(headers, i * HEADER_BYTES + IOVEC_AT, addressOf(this.#iovecs, i * IOVEC_BYTES));
      headers.setUint32(i * HEADER_BYTES + IOVECS_AT, 1, true);
      if (withNames) storeAddress(headers, i * HEADER_BYTES + NAME_AT, addressOf(this.names, this.nameOffset(i)));
    }
    if (withNames) this.offerNames(messagesMax);
  }

  /** Address of header `i`, for the call. */
  header(i: number): Pointer {
    return (this.#address + i * HEADER_BYTES) as Pointer;
  }

  offset(i: number): number {
    return i * this.strideBytes;
  }

  nameOffset(i: number): number {
    return i * NAME_BYTES;
  }

  /** Tells the kernel how much room each address slot has; it overwrites that with what it used. */
  offerNames(count: number): void {
    for (let i = 0; i < count; i++) this.words[i * HEADER_WORDS + NAME_LENGTH_WORD] = SOCKET_ADDRESS_BYTES;
  }
}
