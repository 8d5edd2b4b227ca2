import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RECORD_BYTES } from "../recorder/record.ts";
import { readRing } from "../recorder/ring.ts";
import { FlightRecorder } from "./flight-recorder.ts";
import { Log } from "./log.ts";

const SIZE_BYTES = 8 * RECORD_BYTES;
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ctsync-flight-"));
  path = join(directory, "state", "timeline.ring");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const recorder = (sizeBytes = SIZE_BYTES, at = path): FlightRecorder =>
  new FlightRecorder(at, sizeBytes, new Log("error"));
const texts = (): string[] => readRing(readFileSync(path)).records.map(({ text }) => text);

/** Writes these in a life of its own. */
async function live(words: readonly string[], sizeBytes = SIZE_BYTES): Promise<FlightRecorder> {
  const flight = recorder(sizeBytes);
  for (const text of words) flight.note("peer", text);
  await flight.close();
  return flight;
}

describe("the flight recorder", () => {
  test("makes the directory and a file of its full size, and keeps the order of what is noted", async () => {
    const flight = await live(["a", "b", "c"]);
    expect(texts()).toEqual(["a", "b", "c"]);
    expect(statSync(path).size).toBe(SIZE_BYTES);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(flight.report()).toEqual({ path, written: 3, lost: 0, error: null });
  });

  test("writes at its end what was noted while it wrote", async () => {
    const flight = recorder();
    flight.note("peer", "a");
    await Bun.sleep(0);
    flight.note("peer", "b");
    flight.note("stop", "c");
    await flight.close();
    expect(texts()).toEqual(["a", "b", "c"]);
  });

  test("goes on where its last life ended, and overwrites the oldest", async () => {
    await live(["a", "b", "c", "d", "e"]);
    await live(["f", "g", "h", "i", "j"]);
    expect(texts()).toEqual(["c", "d", "e", "f", "g", "h", "i", "j"]);
    expect(readRing(readFileSync(path)).records.map(({ life }) => life)).toEqual([1, 1, 1, 2, 2, 2, 2, 2]);
  });

  test("keeps the newest when its size is changed", async () => {
    await live(["a", "b", "c", "d", "e", "f"]);
    await live(["g"], 4 * RECORD_BYTES);
    expect(texts()).toEqual(["d", "e", "f", "g"]);
    await live(["h", "i"], 16 * RECORD_BYTES);
    expect(texts()).toEqual(["d", "e", "f", "g", "h", "i"]);
    expect(statSync(path).size).toBe(16 * RECORD_BYTES);
  });

  test("goes on in a ring that is damaged, cut short, or was never one", async () => {
    await live(["a", "b", "c"]);
    const bytes = readFileSync(path);
    bytes[RECORD_BYTES + 100] = 0xff;
    writeFileSync(path, bytes.subarray(0, 3 * RECORD_BYTES - 1));
    await live(["d"]);
    expect(texts()).toEqual(["a", "d"]);
    writeFileSync(path, "not a ring");
    await live(["e"]);
    expect(texts()).toEqual(["e"]);
  });

  test("notes what happened before, by both clocks", async () => {
    const flight = recorder();
    const nowMs = Bun.nanoseconds() / 1e6;
    flight.note("peer-last", "", { atMs: nowMs - 60_000 });
    flight.note("peer");
    await flight.close();
    const [before, now] = readRing(readFileSync(path)).records;
    expect(now!.wallMs - before!.wallMs).toBeWithin(60_000, 61_000);
    expect(now!.atMs - before!.atMs).toBeWithin(60_000, 61_000);
  });

  test("says what hinders it, keeps what there is room for, and counts the rest", async () => {
    mkdirSync(join(directory, "state"));
    mkdirSync(path);
    const flight = await live(Array.from({ length: 600 }, (_, i) => String(i)));
    expect(flight.report()).toEqual({ path, written: 0, lost: 88, error: `${path}: is a directory (EISDIR)` });
    rmSync(path, { recursive: true });
    expect(flight.dueMs).toBeGreaterThan(Bun.nanoseconds() / 1e6);
    flight.tick(flight.dueMs);
    for (let i = 0; flight.report().written < 512 && i < 2_000; i++) await Bun.sleep(1);
    await flight.close();
    expect(flight.report()).toEqual({ path, written: 512, lost: 88, error: null });
    expect(texts()).toEqual(["504", "505", "506", "507", "508", "509", "510", "511"]);
  });

  test("leaves a ring alone that another daemon writes", async () => {
    const first = recorder();
    first.note("peer", "a");
    for (let i = 0; first.report().written < 1 && i < 2_000; i++) await Bun.sleep(1);
    const second = await live(["b"]);
    expect(second.report().error).toBe(`${path}: another ctsync daemon writes it. Give this one another recorder.path`);
    await first.close();
    expect(texts()).toEqual(["a"]);
  });

  test("without a path records nothing", async () => {
    const flight = recorder(SIZE_BYTES, "");
    flight.note("peer", "a");
    await flight.close();
    expect(flight.report()).toEqual({ path: "", written: 0, lost: 0, error: null });
  });
});
