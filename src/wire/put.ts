/**
 * Attribute writers: each writes one attribute at `at`, padded with zeros, and returns where the next one goes. Payloads
 * are big-endian, but for the `Swapped` one: conntrackd turns three 16-bit attributes round once too often, and on
 * little-endian machines they travel least significant byte first.
 * Source: conntrackd's synchronisation protocol, version 1, sections 5.1 and 5.3.
 */
import { ATTRIBUTE_HEADER_BYTES } from "./attributes.ts";

export function putAttributeHeader(view: DataView, at: number, id: number, payloadBytes: number): void {
  view.setUint16(at, ATTRIBUTE_HEADER_BYTES + payloadBytes);
  view.setUint16(at + 2, id);
}

/** One byte and three of padding. */
export function putUint8(view: DataView, at: number, id: number, value: number): number {
  putAttributeHeader(view, at, id, 1);
  view.setUint32(at + 4, value << 24);
  return at + 8;
}

/** Two bytes and two of padding. */
export function putUint16(view: DataView, at: number, id: number, value: number): number {
  putAttributeHeader(view, at, id, 2);
  view.setUint32(at + 4, value << 16);
  return at + 8;
}

export const putUint16Swapped = (view: DataView, at: number, id: number, value: number): number =>
  putUint16(view, at, id, ((value & 0xff) << 8) | (value >>> 8));

export function putUint32(view: DataView, at: number, id: number, value: number): number {
  putAttributeHeader(view, at, id, 4);
  view.setUint32(at + 4, value);
  return at + 8;
}

export function putWords(
  view: DataView,
  at: number,
  id: number,
  words: Uint32Array,
  from: number,
  count: number,
): number {
  putAttributeHeader(view, at, id, count * 4);
  at += 4;
  for (let i = 0; i < count; i++, at += 4) view.setUint32(at, words[from + i]);
  return at;
}

/** Source and destination address, four words each in `words`. The id for IPv6 follows the one for IPv4. */
export function putAddressPair(
  view: DataView,
  at: number,
  idIpv4: number,
  family: number,
  words: Uint32Array,
  source: number,
  destination: number,
): number {
  const count = family === 6 ? 4 : 1;
  putAttributeHeader(view, at, family === 6 ? idIpv4 + 1 : idIpv4, count * 8);
  at += 4;
  for (let i = 0; i < count; i++, at += 4) view.setUint32(at, words[source + i]);
  for (let i = 0; i < count; i++, at += 4) view.setUint32(at, words[destination + i]);
  return at;
}
