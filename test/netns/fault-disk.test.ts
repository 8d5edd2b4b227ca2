/** A disk that is full, and a log that nobody reads: the daemon replicates and takes over all the same. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CTSYNC, writeConfig } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  connected,
  DEADLINE_MS,
  insert,
  kernelFlows,
  type Side,
  type Sides,
  start,
  statusOf,
} from "./daemon-pair.ts";
import { converged, makeFaultSides, mixedFlows, takesOver } from "./fault-pair.ts";

setDefaultTimeout(60_000);

/** The backup's daemon under a shell, so that its standard error goes where the words say; it says each command it is given. */
function startBackup(side: Side, words: string): LabProcess {
  appendFileSync(side.config, '[log]\nlevel = "debug"\n');
  return side.namespace.spawn(["bash", "-c", `${CTSYNC} daemon --config ${side.config} ${words}`]);
}

const answers = (side: Side): Promise<boolean> =>
  until(
    () =>
      statusOf(side).then(
        () => true,
        () => false,
      ),
    DEADLINE_MS,
    "the daemon answers",
  );

/** 60 lines a round, of some 55 bytes; 25 rounds are more than a pipe holds. */
async function sayMuch(side: Side, rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const words = Array.from({ length: 60 }, () => ask(side, "POST", "/v1/reset-timers"));
    for (const { status } of await Promise.all(words)) expect(status).toBe(200);
  }
}

async function survives(sides: Sides): Promise<void> {
  await connected(sides[1]);
  insert(sides[0], mixedFlows(0, 3_000));
  await converged(sides[0], sides[1]);
  await takesOver(sides[1], kernelFlows(sides[0]));
}

test("its log goes to a full disk", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  await start(sides[0]);
  startBackup(sides[1], "2> /dev/full");
  await answers(sides[1]);
  await sayMuch(sides[1]);
  await survives(sides);
});

test("its log goes into a full pipe that nobody reads; once read, it says how many lines are missing", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  await start(sides[0]);
  const reads = join(lab.directory, "reads");
  const reader = startBackup(sides[1], `2>&1 | (until [ -e ${reads} ]; do sleep 0.05; done; exec cat)`);
  await answers(sides[1]);
  await sayMuch(sides[1], 25);
  await survives(sides);
  writeFileSync(reads, "");
  await reader.waitForLine(/asked to reset-timers/, DEADLINE_MS);
  await sayMuch(sides[1]);
  await reader.waitForLine(/warning: \d+ lines before this one could not be written/, DEADLINE_MS);
});

test("its log's reader is gone", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  await start(sides[0]);
  startBackup(sides[1], "2>&1 | true");
  await answers(sides[1]);
  await sayMuch(sides[1]);
  await survives(sides);
});

/** The folder of the control socket on a disk of its own, which has room for two pages. */
async function onFullDisk(lab: Lab, namespace: Namespace, amid: string): Promise<LabProcess> {
  const run = join(lab.directory, "run");
  const config = await writeConfig(lab, "full", { interface: "sync", local: "10.0.9.2", peer: "10.0.9.1" });
  const text = (await Bun.file(config).text()).replace(/^socket = .*$/m, `socket = "${run}/ctsync.sock"`);
  await Bun.write(config, text);
  const daemon = `${CTSYNC} daemon --config ${config}`;
  const fill = `(cat /dev/zero > ${run}/filler; : ) 2> /dev/null`;
  const mount = `mkdir ${run}; mount -t tmpfs -o size=8k,nr_inodes=${amid === "no inode" ? 2 : 16} tmpfs ${run}`;
  return namespace.spawn(["bash", "-c", `${mount}; ${fill}; exec ${daemon}`]);
}

test("the folder of its socket is on a full disk: it starts, replicates and obeys", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  await start(sides[0]);
  const daemon = await onFullDisk(lab, sides[1].namespace, "no block");
  await daemon.waitForLine(/ctsync .* starts/, DEADLINE_MS);
  const socket = `/proc/${daemon.pid}/root${join(lab.directory, "run", "ctsync.sock")}`;
  const side: Side = { ...sides[1], socket };
  await answers(side);
  await survives([sides[0], side]);
});

test("a disk without even room for the socket's name: one sentence says so, and it does not start", async () => {
  await using lab = await Lab.create();
  const sides = await makeFaultSides(lab);
  const daemon = await onFullDisk(lab, sides[1].namespace, "no inode");
  await daemon.waitForLine(/error: cannot make the control socket .*no space left on device \(ENOSPC\)/i, DEADLINE_MS);
  expect(await daemon.exited).toBe(1);
});
