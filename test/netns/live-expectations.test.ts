/** A backup whose kernel follows its peer, and the expectations of both kernels: two real daemons, two real kernels. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  connected,
  DEADLINE_MS,
  insert,
  makeSides,
  remove,
  type Side,
  type Sides,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { expected, expectIn, held, kernelExpectations, masters, timesLeft, unexpectIn } from "./expectation-sides.ts";
import { makeSealedSides } from "./sealed-pair.ts";

setDefaultTimeout(60_000);

const HOW = ["open", "sealed"] as const;
const PURGE_SECONDS = 60;
const MASTER_SECONDS = 900;

const liveSides = (lab: Lab, how: (typeof HOW)[number], auditSeconds = 1): Promise<Sides> =>
  (how === "open" ? makeSides : makeSealedSides)(lab, { sync: { apply: "live", audit_seconds: auditSeconds } });

/** Waits until the second kernel expects what the first one does, and nobody but the first announces it. */
async function follows(from: Side, to: Side, what: string): Promise<void> {
  const isEqual = async () => {
    const wanted = kernelExpectations(from);
    const has = [kernelExpectations(to), await held(to, "external"), await held(from, "internal")];
    return has.every((lines) => Bun.deepEquals(lines, wanted)) && (await held(to, "internal")).length === 0;
  };
  await until(isEqual, DEADLINE_MS, what);
}

test.each(HOW)(
  "%s: the backup's kernel expects what the primary's does, for as long, and says nothing of it",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [primary, backup] = sides;
    const [first, second] = await startPair(sides);
    await first.succeed("notify", "master");
    await second.succeed("notify", "backup");
    insert(primary, masters, MASTER_SECONDS);
    expectIn(primary, expected(0, 2_001), expected(1, 2_002, 100), expected(2, 2_003));
    await follows(primary, backup, "all three");
    expect(kernelExpectations(backup)).toHaveLength(3);
    // Of a timer the kernel tells nothing: the primary's audit finds it, and tells a ctsync peer.
    const isShort = (): boolean => (timesLeft(backup).get(2_002) ?? 0) <= 100;
    if (how === "sealed") await until(isShort, DEADLINE_MS, "the time that is left is the primary's");

    expectIn(primary, expected(0, 2_004)); // It takes the place of the session's first one.
    unexpectIn(primary, expected(1, 2_002, 100));
    await follows(primary, backup, "one was replaced, one ended");
    expect(kernelExpectations(backup)).toHaveLength(2);

    unexpectIn(backup, expected(0, 2_004));
    await until(() => kernelExpectations(backup).length === 2, DEADLINE_MS, "what was deleted by hand is made again");
    remove(primary, masters.slice(2));
    await follows(primary, backup, "one ended with its master");
    const { wire, apply } = (await statusOf(backup)).counters;
    expect([wire!.flowsSent, wire!.expectationsSent, apply!.expectationsLost, apply!.expectationsRefused]).toEqual([
      0, 0, 1, 0,
    ]);
    expect((await statusOf(backup)).apply.expectations).toEqual({ standing: 1, failing: 0, refusals: [] });
  },
);

test.each(HOW)(
  "%s: a backup's daemon that was stopped or killed finds what it made, and announces none of it",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [primary, backup] = sides;
    const [first, second] = await startPair(sides);
    await first.succeed("notify", "master");
    insert(primary, masters, MASTER_SECONDS);
    expectIn(primary, expected(0, 2_001), expected(1, 2_002));
    await follows(primary, backup, "both");

    expect(await second.stop()).toBe(0);
    expect(Math.max(...timesLeft(backup).values())).toBeLessThanOrEqual(PURGE_SECONDS);
    const again = await start(backup);
    await connected(backup);
    const isLong = (): boolean => Math.min(...timesLeft(backup).values()) > PURGE_SECONDS;
    await until(isLong, DEADLINE_MS, "they have their time again");
    await follows(primary, backup, "both, after an orderly end");

    again.process.kill("SIGKILL");
    await again.process.exited;
    expectIn(primary, expected(2, 2_003));
    await start(backup);
    await connected(backup);
    await follows(primary, backup, "all three, after a sudden end");
    expect((await statusOf(backup)).counters.wire!.expectationsSent).toBe(0);
  },
);

test.each(HOW)("%s: roles change and change back: the kernel of the one that steps down follows", async (how) => {
  await using lab = await Lab.create();
  const sides = await liveSides(lab, how);
  const [one, two] = sides;
  const [first, second] = await startPair(sides);
  await first.succeed("notify", "master");
  await second.succeed("notify", "backup");
  insert(one, masters, MASTER_SECONDS);
  expectIn(one, expected(0, 2_001), expected(1, 2_002));
  await follows(one, two, "both");
  const wanted = kernelExpectations(one);

  await Promise.all([second.succeed("notify", "master"), first.succeed("notify", "backup")]);
  expect((await statusOf(two)).counters.kernel!.expectationsCommitted).toBe(0);
  await follows(two, one, "it is the other way round now");
  expect(kernelExpectations(two)).toEqual(wanted);
  expect(await held(two, "external")).toEqual([]);
  expectIn(two, expected(2, 2_003));
  unexpectIn(two, expected(0, 2_001));
  await follows(two, one, "what begins and ends at the new primary");
  expect(kernelExpectations(one)).toHaveLength(2);

  await Promise.all([first.succeed("notify", "master"), second.succeed("notify", "backup")]);
  await follows(one, two, "and back");
  expect(kernelExpectations(two)).toHaveLength(2);
  expect(await held(one, "external")).toEqual([]);
  for (const daemon of [first, second]) expect((await daemon.command("verify")).status).toBe(0);
});

test.each(HOW)(
  "%s: a primary's daemon that nobody told its role is restarted: what its kernel expects is its own",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how, 0); // Nothing else finds what it missed.
    const [primary, backup] = sides;
    const [first] = await startPair(sides);
    insert(primary, masters, MASTER_SECONDS);
    expectIn(primary, expected(0, 2_001), expected(1, 2_002));
    await follows(primary, backup, "both");
    first.process.kill("SIGKILL");
    await first.process.exited;
    unexpectIn(primary, expected(0, 2_001));
    await start(primary);
    await connected(primary);
    await until(
      async () => Bun.deepEquals(await held(primary, "internal"), kernelExpectations(primary)),
      DEADLINE_MS,
      "it announces what is left",
    );
    expect(kernelExpectations(primary)).toHaveLength(1);
  },
);
