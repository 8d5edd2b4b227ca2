/**
 * The flight recorder's file: a ring of records of one size. Record `seq` stands in slot (seq - 1) mod capacity, so the
 * newest overwrites the oldest. There is no header that could be lost: each record says by itself whether it is sound.
 */
import { decodeRecord, encodeRecord, type FlightRecord, RECORD_BYTES } from "./record.ts";

export interface Ring {
  /** Every sound record, oldest first. */
  readonly records: readonly FlightRecord[];
  /** Slots that hold neither a sound record nor nothing at all. */
  readonly damaged: number;
}

export const capacityOf = (sizeBytes: number): number => Math.floor(sizeBytes / RECORD_BYTES);
export const offsetOf = (seq: number, capacity: number): number => ((seq - 1) % capacity) * RECORD_BYTES;

/** Reads a ring as far as it is sound, whatever became of the rest. */
export function readRing(bytes: Uint8Array): Ring {
  const found = new Map<number, FlightRecord>();
  let damaged = 0;
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    const record = at + RECORD_BYTES <= bytes.length ? decodeRecord(bytes, at) : undefined;
    if (record !== undefined) found.set(record.seq, record);
    else if (bytes.subarray(at, at + RECORD_BYTES).some((byte) => byte !== 0)) damaged++;
  }
  return { records: [...found.values()].sort((one, other) => one.seq - other.seq), damaged };
}

/** A whole ring with the newest of these records. */
export function makeRing(records: readonly FlightRecord[], capacity: number): Uint8Array {
  const bytes = new Uint8Array(capacity * RECORD_BYTES);
  for (const record of records.slice(-capacity)) encodeRecord(record, bytes, offsetOf(record.seq, capacity));
  return bytes;
}
