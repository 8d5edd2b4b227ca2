/**
 * The flight recorder's pen: what is noted goes into the ring on disk, in order, and nobody waits for the disk. A thread of
 * Bun's writes what has gathered and has the disk keep it; one write is under way at a time. What cannot be written is kept
 * as far as there is room, tried again, and else counted as lost: a full or broken disk stops nothing (D-020).
 */
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoText } from "../../ffi/errno.ts";
import { lockExclusive } from "../../ffi/libc.ts";
import { encodeRecord, type FlightRecord, type Kind, type Note, RECORD_BYTES } from "../recorder/record.ts";
import { capacityOf, makeRing, offsetOf, readRing } from "../recorder/ring.ts";
import type { RecorderReport } from "../report.ts";
import { monotonicMs } from "./clock.ts";
import type { Log } from "./log.ts";

/** Notes kept for a disk that takes none. */
const WAITING_MAX = 512;
/** A disk that failed is tried again after so long. */
const RETRY_MS = 5_000;
/** How long the last notes may take at the daemon's end. */
const FAREWELL_MS = 500;

interface OpenRing {
  readonly file: FileHandle;
  readonly capacity: number;
  readonly life: number;
  nextSeq: number;
}

export interface Numbers {
  readonly atMs?: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly d?: number;
}

export class FlightRecorder {
  readonly #path: string;
  readonly #sizeBytes: number;
  readonly #log: Log;
  readonly #waiting: Note[] = [];
  #ring: OpenRing | undefined;
  #writing: Promise<void> | undefined;
  #written = 0;
  #lost = 0;
  #error: string | null = null;
  #retryMs = 0;

  /** An empty path: nothing is recorded. */
  constructor(path: string, sizeBytes: number, log: Log) {
    this.#path = path;
    this.#sizeBytes = sizeBytes;
    this.#log = log;
  }

  /** `atMs`: when it happened, if that is not now. */
  note(kind: Kind, text = "", numbers: Numbers = {}): void {
    if (this.#path === "") return;
    if (this.#waiting.length >= WAITING_MAX) {
      this.#lost++;
      return;
    }
    const nowMs = monotonicMs();
    const { atMs = nowMs, a = 0, b = 0, c = 0, d = 0 } = numbers;
    this.#waiting.push({ kind, atMs, wallMs: Date.now() - (nowMs - atMs), a, b, c, d, text });
    if (this.#error === null) this.#write();
  }

  /** When `tick` has something to do. */
  get dueMs(): number {
    return this.#error !== null && this.#waiting.length > 0 ? this.#retryMs : Number.POSITIVE_INFINITY;
  }

  tick(nowMs: number): void {
    if (nowMs >= this.dueMs) this.#write();
  }

  /** Writes what waits, as far as the disk takes it soon. */
  async close(): Promise<void> {
    const endMs = monotonicMs() + FAREWELL_MS;
    this.#write();
    while (this.#writing !== undefined && monotonicMs() < endMs)
      await Promise.race([this.#writing, Bun.sleep(endMs - monotonicMs())]);
    if (this.#writing === undefined) await this.#ring?.file.close();
  }

  report(): RecorderReport {
    return { path: this.#path, written: this.#written, lost: this.#lost, error: this.#error };
  }

  #write(): void {
    if (this.#writing !== undefined || this.#waiting.length === 0) return;
    this.#writing = this.#drain()
      .then(
        () => this.#works(),
        (error) => this.#fails(error),
      )
      .finally(() => {
        this.#writing = undefined;
        if (this.#error === null) this.#write(); // What came meanwhile.
      });
  }

  async #drain(): Promise<void> {
    this.#ring ??= await openRing(this.#path, this.#sizeBytes);
    const { file, capacity, life, nextSeq } = this.#ring;
    const bytes = new Uint8Array(RECORD_BYTES);
    let count = 0;
    for (const note of this.#waiting.slice(0, capacity)) {
      encodeRecord({ ...note, seq: nextSeq + count, life }, bytes, 0);
      await writeWhole(file, bytes, offsetOf(nextSeq + count, capacity));
      count++;
    }
    await file.datasync();
    this.#ring.nextSeq += count;
    this.#waiting.splice(0, count);
    this.#written += count;
  }

  #works(): void {
    if (this.#error !== null) this.#log.info(`the flight recorder writes to ${this.#path} again`);
    this.#error = null;
  }

  #fails(error: unknown): void {
    this.#retryMs = monotonicMs() + RETRY_MS;
    const text = `${this.#path}: ${reasonOf(error)}`;
    if (text !== this.#error)
      this.#log.warning(`the flight recorder cannot write: ${text}. Nothing else depends on it`);
    this.#error = text;
  }
}

/** Opens the ring, as large as it should be from the start: a disk that fills later takes nothing from it. */
async function openRing(path: string, sizeBytes: number): Promise<OpenRing> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const capacity = capacityOf(sizeBytes);
  const before = await openIfThere(path);
  if (before === undefined) {
    const file = await replace(path, makeRing([], capacity));
    return { file, capacity, life: 1, nextSeq: 1 };
  }
  try {
    lock(before);
    const bytes = await before.readFile();
    const { records } = readRing(bytes);
    const last: FlightRecord | undefined = records.at(-1);
    const life = Math.max(0, ...records.map((record) => record.life)) + 1;
    const nextSeq = (last?.seq ?? 0) + 1;
    if (bytes.length === capacity * RECORD_BYTES) return { file: before, capacity, life, nextSeq };
    const file = await replace(path, makeRing(records, capacity));
    await before.close();
    return { file, capacity, life, nextSeq };
  } catch (error) {
    await before.close();
    throw error;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Puts a whole file into the place of what is there: either stands there, whenever the power fails. */
async function replace(path: string, bytes: Uint8Array): Promise<FileHandle> {
  const made = `${path}.new`;
  const file = await open(made, "w+", 0o600);
  try {
    lock(file);
    await writeWhole(file, bytes, 0);
    await file.datasync();
    await rename(made, path);
    return file;
  } catch (error) {
    await file.close();
    await rm(made, { force: true });
    throw error;
  }
}

function lock(file: FileHandle): void {
  if (lockExclusive(file.fd) < 0)
    throw new Error("another ctsync daemon writes it. Give this one another recorder.path");
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw new Error("the disk took nothing");
    done += bytesWritten;
  }
}

/** "no space left on device (ENOSPC)" */
function reasonOf(error: unknown): string {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  return code === undefined || errno === undefined ? message : `${errnoText(errno).toLowerCase()} (${code})`;
}
