/** The kernel's table is read while its flows change, end and come back: no entry of the dump may outlive a newer event. */
import { expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { Random } from "../sim/random.ts";
import { ask, insert, makeSides, remove, replicated, type Side, startPair, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

const FLOWS = 6_000;
const ROUNDS = 12;
const REREADS = 3;
/** Neighbours that change, end and begin at once. */
const CHANGED = 60;
const ENDED = 10;

const seed = Number(process.env.CTSYNC_SEED ?? 1);
const random = new Random(seed);

const numbered = (i: number, mark: number): f.Flow =>
  flowOf({ l4proto: 6, source: 1 + (i >> 12), ports: f.portsWord(1 + (i & 0xfff), 80), state: 3, mark });

function some(count: number, mark: number): f.Flow[] {
  const from = random.below(FLOWS - count);
  return Array.from({ length: count }, (_, i) => numbered(from + i, mark));
}

/** Marks change, and flows end and begin, for as long as the table is read again and again; how many changes there were. */
async function churnWhileReading(side: Side): Promise<number> {
  let isRead = false;
  const reading = (async () => {
    for (let i = 0; i < REREADS; i++) expect((await ask(side, "POST", "/v1/resync")).status).toBe(200);
  })().finally(() => {
    isRead = true;
  });
  let changed = 0;
  for (let mark = 1; !isRead; mark++) {
    insert(side, some(CHANGED, mark));
    const ended = some(ENDED, mark);
    remove(side, ended);
    if (mark % 2 === 0) insert(side, ended);
    changed += CHANGED + ENDED;
    await new Promise(setImmediate);
  }
  await reading;
  return changed;
}

test(`of what changes while the table is read, the newest stays, without an audit (seed ${seed})`, async () => {
  await using lab = await Lab.create();
  const sides = await makeSides(lab, { sync: { audit_seconds: 0 } });
  const [primary, backup] = sides;
  await startPair(sides);
  insert(
    primary,
    Array.from({ length: FLOWS }, (_, i) => numbered(i, 0)),
  );
  await replicated(primary, backup);
  for (let round = 0; round < ROUNDS; round++) {
    expect(await churnWhileReading(primary)).toBeGreaterThan(CHANGED);
    await replicated(primary, backup);
  }
  expect((await statusOf(primary)).kernel.overruns).toBe(0); // Else another reread would have repaired it.
});
