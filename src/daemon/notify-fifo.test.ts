import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log } from "./log.ts";
import { NotifyFifo } from "./notify-fifo.ts";

class Heard extends Log {
  readonly warnings: string[] = [];

  constructor() {
    super("error");
  }

  override warning(text: string): void {
    this.warnings.push(text);
  }
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fifo-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Looks at it each second of so many. */
function pass(fifo: NotifyFifo, fromMs: number, seconds: number): void {
  for (let i = 0; i <= seconds; i++) expect(fifo.read(fromMs + i * 1_000)).toEqual([]);
}

test("a fifo that nobody writes is warned of once, and again when its writer has left for good", () => {
  const log = new Heard();
  const path = join(folder, "keepalived.fifo");
  const fifo = new NotifyFifo(path, log);
  pass(fifo, 0, 9);
  expect([fifo.isOpen, fifo.hasWriter, log.warnings]).toEqual([true, false, []]);
  pass(fifo, 10_000, 50);
  expect(log.warnings).toEqual([expect.stringContaining(`nobody writes to keepalived's fifo ${path}`)]);

  const writer = openSync(path, constants.O_RDWR);
  pass(fifo, 70_000, 20); // It has nothing to say.
  expect(fifo.hasWriter).toBeTrue();
  writeSync(writer, 'GROUP "FIREWALL" MASTER 100\n');
  expect(fifo.read(91_000)).toMatchObject([{ role: "master" }]);
  closeSync(writer);
  pass(fifo, 92_000, 5);
  expect([fifo.hasWriter, log.warnings.length]).toEqual([false, 1]);
  pass(fifo, 98_000, 10);
  expect(log.warnings).toHaveLength(2);
  fifo.close();
});

test("the same where it cannot be made and nobody makes it", () => {
  const log = new Heard();
  const fifo = new NotifyFifo(join(folder, "missing", "keepalived.fifo"), log);
  pass(fifo, 0, 20);
  expect([fifo.isOpen, fifo.hasWriter, log.warnings.length]).toEqual([false, false, 1]);
  fifo.close();
});
