/**
 * One record of the flight recorder's ring: something that happened, when by both clocks, four numbers and a few words.
 *
 *   byte  0      4      8    16    20    22           24        32      40          72
 *         "CTFR" crc32  seq  life  kind  text bytes   atMs      wallMs  a, b, c, d  text, UTF-8
 *         u32    u32    f64  u32   u16   u16          f64       f64     f64 each    up to 184 bytes
 *
 * Big-endian, 256 bytes. The checksum covers the bytes from 8 on. `seq` counts the ring's records and orders them, whatever
 * a clock does; `life` counts the daemon's starts; `atMs` never goes back within a life, `wallMs` is the time of day (since
 * 1970) and is only shown.
 */
import { crc32 } from "./crc32.ts";

export const RECORD_BYTES = 256;
const MAGIC = 0x43544652;
const CHECKED_FROM = 8;
const TEXT_AT = 72;
export const TEXT_BYTES_MAX = RECORD_BYTES - TEXT_AT;

/**
 * What a record tells, and what its numbers and words are. The place in this list is what stands in the file: only its
 * end may grow.
 */
export const KINDS = [
  "start", // text: version; a: process id
  "stop",
  "role", // text: keepalived's word; a, b: flows of the external and the internal cache
  "role-done", // text: that word; a: milliseconds, b: 1 when every step succeeded
  "step", // text: "STEP: what came of it"; a: milliseconds, b: 1 when it succeeded
  "peer-last", // text: the peer; when its last datagram came
  "peer", // text: "ADDRESS STATE"; a: milliseconds since its last datagram, -1 if none came
  "link", // text: "INTERFACE up" or "… down"
  "addresses", // text: "+ADDRESS -ADDRESS …": what this machine holds now, and what no more
  "gate", // text: "closed", "opened", or another state and why
  "commit-begin", // a: flows of the external cache
  "commit-end", // a: created, b: updated, c: refused, d: milliseconds
  "refused", // text: "ERRNO: what it means"; a: flows
  "lessened", // text: "without helper"; a: flows
  "forward", // text: "before the commit" or "after the commit"; a: packets seen by then
  "proof", // text: the peer; a: milliseconds since the caches were equal (-1: never), b: flows, c: buckets that differ
  "split-brain", // text: "begins" or "ends"
  "overrun", // the kernel dropped events
  "handover", // text: what was done; a: milliseconds since its beginning
  "taken-on", // a: flows that a second primary had let in and that were put into the kernel, c: refused, d: milliseconds
] as const;
export type Kind = (typeof KINDS)[number];

export interface Note {
  readonly kind: Kind | "unknown";
  readonly atMs: number;
  readonly wallMs: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly text: string;
}

export interface FlightRecord extends Note {
  readonly seq: number;
  readonly life: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes the record at `at`: RECORD_BYTES, all of them. A text that is too long is cut between two characters. */
export function encodeRecord(record: FlightRecord, bytes: Uint8Array, at: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_BYTES);
  bytes.fill(0, at, at + RECORD_BYTES);
  const room = bytes.subarray(at + TEXT_AT, at + RECORD_BYTES);
  view.setUint32(0, MAGIC);
  view.setFloat64(8, record.seq);
  view.setUint32(16, record.life);
  view.setUint16(20, KINDS.indexOf(record.kind as Kind) + 1);
  view.setUint16(22, encoder.encodeInto(record.text, room).written);
  view.setFloat64(24, record.atMs);
  view.setFloat64(32, record.wallMs);
  for (const [i, number] of [record.a, record.b, record.c, record.d].entries()) view.setFloat64(40 + 8 * i, number);
  view.setUint32(4, crc32(bytes, at + CHECKED_FROM, at + RECORD_BYTES));
}

/** The record at `at`, or undefined when what is there is not sound. The caller guarantees RECORD_BYTES from `at` on. */
export function decodeRecord(bytes: Uint8Array, at: number): FlightRecord | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_BYTES);
  if (view.getUint32(0) !== MAGIC) return undefined;
  if (view.getUint32(4) !== crc32(bytes, at + CHECKED_FROM, at + RECORD_BYTES)) return undefined;
  const seq = view.getFloat64(8);
  const textBytes = view.getUint16(22);
  if (!Number.isSafeInteger(seq) || seq < 1 || textBytes > TEXT_BYTES_MAX) return undefined;
  return {
    seq,
    life: view.getUint32(16),
    kind: KINDS[view.getUint16(20) - 1] ?? "unknown", // Of a later version.
    atMs: view.getFloat64(24),
    wallMs: view.getFloat64(32),
    a: view.getFloat64(40),
    b: view.getFloat64(48),
    c: view.getFloat64(56),
    d: view.getFloat64(64),
    text: decoder.decode(bytes.subarray(at + TEXT_AT, at + TEXT_AT + textBytes)),
  };
}
