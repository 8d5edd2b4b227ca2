/** Events that the kernel had to drop: the daemon notices, says so, and repairs its cache and its peer's from the kernel. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import type { StatusReport } from "../../src/report.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  ask,
  DEADLINE_MS,
  insert,
  makeSides,
  remove,
  replicated,
  type Sides,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

/** The smallest there is: a hundred events or two. */
const BUFFER_BYTES = 65_536;

let lab: Lab;
let sides: Sides;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab, { netlink: { buffer_bytes: BUFFER_BYTES, buffer_max_bytes: BUFFER_BYTES } });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const flows = (from: number, to: number, mark = 0): f.Flow[] =>
  Array.from({ length: to - from }, (_, i) =>
    flowOf({
      l4proto: 6,
      source: 1 + ((from + i) >> 14),
      ports: f.portsWord(1 + ((from + i) & 0x3fff), 80),
      state: 3,
      mark,
    }),
  );

test("flows that began, changed and ended unheard are found out, and the peer's cache is equal to the kernel again", async () => {
  const [daemon] = await startPair(sides);
  insert(sides[0], flows(0, 6_000));
  await replicated(sides[0], sides[1]);
  const before = (await statusOf(sides[0])).kernel;
  expect(before).toMatchObject({ suspect: false, bufferBytes: BUFFER_BYTES });

  daemon.process.kill("SIGSTOP");
  remove(sides[0], flows(0, 2_000));
  insert(sides[0], flows(2_000, 4_000, 5)); // They stand: this changes their mark.
  insert(sides[0], flows(10_000, 14_000));
  // Asked while it stands still, so it is answered after the overrun: amid the repair, or just after its end.
  const asked = ask(sides[0], "GET", "/v1/status");
  daemon.process.kill("SIGCONT");
  const { kernel } = JSON.parse((await asked).text) as StatusReport;
  expect(kernel.overruns).toBeGreaterThan(before.overruns);
  if (!kernel.suspect) await daemon.process.waitForLine(/reread the kernel's table/, DEADLINE_MS);

  await until(async () => !(await statusOf(sides[0])).kernel.suspect, DEADLINE_MS, "the cache is trusted again");
  await replicated(sides[0], sides[1]);
  expect((await statusOf(sides[0])).internal).toBe(8_000);
  expect(await daemon.succeed("resync")).toContain(": 0 new, 0 updated, 0 removed\n");
  expect(daemon.process.output).toContain("warning: the kernel dropped events (socket buffer 65536 bytes now)");
  expect(daemon.process.output).toMatch(
    /info: reread the kernel's table: \d+ flows were missing, \d+ had changed, \d+ had ended/,
  );
});

test("events that go on being lost while the table is reread start another reading, until both are equal", async () => {
  const [daemon] = await startPair(sides);
  for (let round = 0; round < 5; round++) {
    insert(sides[0], flows(round * 2_000, (round + 1) * 2_000));
    remove(sides[0], flows(round * 2_000, round * 2_000 + 1_000));
  }
  const status = () => statusOf(sides[0]);
  await until(
    async () => (await status()).kernel.overruns > 0 && !(await status()).kernel.suspect,
    DEADLINE_MS,
    "repaired",
  );
  await replicated(sides[0], sides[1]);
  expect((await status()).internal).toBe(5_000);
  expect(daemon.process.output).not.toContain("error: ");
});
