/**
 * Memory that C may keep an address of.
 *
 * A small typed array lives inside JavaScript's heap and moves once its caller is hot, so an address taken of it goes
 * stale (D-002). The bytes of an explicit `ArrayBuffer` lie outside that heap and stay put for as long as something
 * refers to the buffer: whoever stores an address also stores the view it came from.
 * For the length of one call pass the view itself, declared `buffer`.
 */
import { type Pointer, ptr } from "bun:ffi";

export const pinned = (lengthBytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(lengthBytes));

/** Address of byte `at` of pinned memory. */
export const addressOf = (memory: Uint8Array<ArrayBuffer>, at = 0): Pointer => ptr(memory, at);

/** Stores a 64-bit address at byte `at`, as a little-endian C reads it. An address has 48 bits: no BigInt. */
export function storeAddress(view: DataView, at: number, address: Pointer): void {
  view.setUint32(at, address >>> 0, true);
  view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
}
