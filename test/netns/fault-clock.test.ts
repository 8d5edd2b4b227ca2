/**
 * The wall clock is set back, at a restart and while the daemon runs. The kernel has one wall clock for all namespaces, so
 * Debian's libfaketime stands between the daemon and the C library; the monotonic clock is left as it is. The daemon takes
 * the wall clock for its log and for the first sequence number of its life.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CTSYNC } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/process.ts";
import { connected, DEADLINE_MS, insert, kernelFlows, type Side, start } from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

const YEAR = 365;

function library(): string {
  for (const folder of readdirSync("/usr/lib"))
    for (const path of [`/usr/lib/${folder}/faketime/libfaketime.so.1`])
      if (folder.endsWith("-linux-gnu") && Bun.spawnSync(["test", "-e", path]).exitCode === 0) return path;
  throw new Error("Debian's package libfaketime is missing");
}

/** A daemon whose wall clock goes by what the file says, such as "-365d". */
async function startAt(side: Side, file: string): Promise<LabProcess> {
  const daemon = side.namespace.spawn([CTSYNC, "daemon", "--config", side.config], {
    ...{ LD_PRELOAD: library(), FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1" },
    ...{ FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" },
  });
  await daemon.waitForLine(/ starts: process /, DEADLINE_MS);
  await connected(side);
  return daemon;
}

const yearOf = (line: string): number => Number(line.slice(0, 4));

test("set back by a year, while it runs and then at its restart: no flow is held for an old one", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  const [primary, backup] = sides;
  await start(backup);
  const file = join(lab.directory, "clock");
  await Bun.write(file, "+0d\n");
  let daemon = await startAt(primary, file);
  insert(primary, mixedFlows(0, 2_000));
  await converged(primary, backup);
  const began = yearOf(daemon.lines[0]!.text);

  await Bun.write(file, `-${YEAR}d\n`);
  insert(primary, mixedFlows(0, 1_000, 9));
  await converged(primary, backup);
  daemon.kill("SIGHUP");
  expect(yearOf(await daemon.waitForLine(/SIGHUP/, DEADLINE_MS))).toBe(began - 1); // It has seen the new clock.

  daemon.kill("SIGKILL");
  await daemon.exited;
  insert(primary, mixedFlows(0, 1_000, 10));
  daemon = await startAt(primary, file);
  expect(yearOf(daemon.lines[0]!.text)).toBe(began - 1);
  insert(primary, mixedFlows(2_000, 3_000));
  await converged(primary, backup);
  daemon.kill("SIGKILL");
  await takesOver(backup, kernelFlows(primary));
});
