/**
 * A backup whose kernel follows its peer (sync.apply = "live"): two real daemons, two real kernels. The generator makes,
 * changes and ends the primary's flows behind its daemon's back, as packets would.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import {
  cached,
  connected,
  DEADLINE_MS,
  insert,
  remove,
  type Side,
  start,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";
import { entries, generate, HOW, keyOf, liveSides, same, states, TIMEOUT_SECONDS, timers } from "./live-pair.ts";

setDefaultTimeout(90_000);

const MANY = 100_000;
const FEW = 200;
const PURGE_SECONDS = 60;
/** Flows that the former primary, which nobody told of the takeover, speaks of meanwhile: it tells timers that changed. */
const STRAYS = 50;
const VIRTUAL = "192.0.2.100";

const tcp = (source: number, more: Partial<Parameters<typeof flowOf>[0]> = {}): f.Flow =>
  flowOf({ l4proto: f.IPPROTO_TCP, source, state: 3, ...more });
const several = (from: number, count: number, more: Partial<Parameters<typeof flowOf>[0]> = {}): f.Flow[] =>
  Array.from({ length: count }, (_, i) => tcp(from + i, more));

const sentBy = async (side: Side): Promise<number> => (await statusOf(side)).counters.wire!.flowsSent!;

test("while 100,000 flows come, change and go the backup's kernel becomes the primary's, nothing comes back, and a takeover has nothing left to do", async () => {
  await using lab = await Lab.create();
  const sides = await liveSides(lab, "sealed");
  const [primary, backup] = sides;
  const [, daemon] = await startPair(sides);
  for (const { namespace } of sides)
    await namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  await generate(primary, "--count", String(MANY));
  await generate(primary, "--action", "update", "--count", "20000", "--mark", "7");
  await generate(primary, "--action", "churn", "--alive", String(MANY), "--seconds", "2", "--rate", "20000");
  await same(primary, backup, 30_000);
  const [theirs, ours] = [timers(primary), timers(backup)];
  expect(ours.size).toBeGreaterThanOrEqual(MANY);
  const farthest = Math.max(...[...theirs].map(([key, seconds]) => Math.abs(seconds - (ours.get(key) ?? 0))));
  expect(farthest).toBeLessThanOrEqual(5);
  expect(await cached(backup, "internal")).toEqual([]);
  expect(await sentBy(backup)).toBe(0);

  const before = states(backup);
  const outcome = await daemon.command("notify", "master");
  expect(outcome).toMatchObject({ status: 0, stderr: "" });
  expect(outcome.stdout).toMatch(/^apply: applied the last 0 flows/m);
  const [, adopted, missing] = /^adopt: (\d+) flows became ours, (\d+) were still to be committed/m.exec(
    outcome.stdout,
  )!;
  expect(Number(adopted)).toBeWithin(ours.size - STRAYS, ours.size + 1);
  expect(Number(missing)).toBeLessThanOrEqual(STRAYS);
  expect(states(backup)).toEqual(before);
  expect((await statusOf(backup)).apply.active).toBeFalse();
  // The former primary hears of each once, but for what the link dropped, and withdraws its own.
  const settled = async (): Promise<boolean> => {
    const { internal, external } = await statusOf(backup);
    return external <= STRAYS && internal + external === ours.size;
  };
  await until(settled, DEADLINE_MS, "the peer has withdrawn its own");
  const { wire, peer } = (await statusOf(backup)).counters;
  expect(wire!.flowsSent! - peer!.resent!).toBeWithin(ours.size - STRAYS, ours.size + STRAYS);
});

test.each(HOW)(
  "%s: roles change and change back: the kernel of the one that steps down follows, and keeps nothing that ended",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [one, two] = sides;
    const [first, second] = await startPair(sides);
    const [staying, ending] = [several(1, FEW), several(1_000, FEW)];
    await first.succeed("notify", "master");
    insert(one, [...staying, ...ending], TIMEOUT_SECONDS);
    await same(one, two);

    await Promise.all([second.succeed("notify", "master"), first.succeed("notify", "backup")]);
    remove(two, ending);
    insert(two, [...several(1, FEW, { mark: 9 }), ...several(2_000, FEW)], TIMEOUT_SECONDS);
    await same(two, one);
    expect(states(one).size).toBe(2 * FEW);
    expect(Math.min(...timers(one).values())).toBeGreaterThan(PURGE_SECONDS);
    const stepped = await statusOf(one);
    expect({ internal: stepped.internal, standing: stepped.apply.standing }).toEqual({
      internal: 0,
      standing: 2 * FEW,
    });

    await Promise.all([first.succeed("notify", "master"), second.succeed("notify", "backup")]);
    insert(one, several(1, FEW, { mark: 10 }), TIMEOUT_SECONDS);
    await same(one, two);
    expect(Math.min(...timers(two).values())).toBeGreaterThan(PURGE_SECONDS);
    await until(
      async () => (await statusOf(two)).internal === 0,
      DEADLINE_MS,
      "nothing is left of its time as primary",
    );
  },
);

test.each(HOW)(
  "%s: a primary hears late that it stops, and asks nobody: what the new one named before is that one's, and keeps its time",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [one, two] = sides;
    const [first, second] = await startPair(sides);
    await first.succeed("notify", "master");
    insert(one, several(1, FEW), TIMEOUT_SECONDS);
    await same(one, two);
    const isAcknowledged = async () => (await statusOf(one)).peer.unacknowledged === 0;
    await until(isAcknowledged, DEADLINE_MS, "nothing crosses what the new primary says");
    await second.succeed("notify", "master");
    await until(async () => (await statusOf(one)).external === FEW, DEADLINE_MS, "the new primary has named all");
    if (how === "open") insert(one, [tcp(1, { mark: 9 })], TIMEOUT_SECONDS); // Packets still pass here.
    const own = how === "open" ? 1 : 0;
    await first.succeed("notify", "stop");
    const isGiven = async (): Promise<boolean> => {
      const { internal, apply } = await statusOf(one);
      return internal === own && apply.standing === FEW - own;
    };
    await until(isGiven, DEADLINE_MS, "all but what moved here is the new primary's");
    const short = [...timers(one).values()].filter((seconds) => seconds <= PURGE_SECONDS);
    expect(short).toHaveLength(own);
    if (own === 0) return;
    expect(entries(one).map((words) => words[f.MARK])).toContain(9);
    remove(one, [tcp(1)]);
    await same(two, one);
    expect((await statusOf(one)).internal).toBe(0);
  },
);

test.each(HOW)(
  "%s: the backup's daemon is killed, and later stopped: it finds what it made, says nothing of it, and mends what it missed",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [primary, backup] = sides;
    const [, daemon] = await startPair(sides);
    insert(primary, several(1, 3 * FEW), TIMEOUT_SECONDS);
    await same(primary, backup);

    daemon.process.kill("SIGKILL");
    await daemon.process.exited;
    remove(primary, several(1, FEW));
    insert(primary, [...several(1 + FEW, FEW, { mark: 5 }), ...several(5_000, FEW)], TIMEOUT_SECONDS);
    const again = await start(backup);
    await connected(backup);
    // What ended meanwhile stands until somebody says that this is the backup; then it has a minute left.
    await again.succeed("notify", "backup");
    const left = new Set(several(1, FEW).map(({ words }) => keyOf(words)));
    await until(
      () => [...timers(backup)].every(([key, seconds]) => left.has(key) === seconds <= PURGE_SECONDS),
      DEADLINE_MS,
      "all but what ended has its timer",
    );
    remove(backup, several(1, FEW));
    await same(primary, backup);
    const { internal, counters } = await statusOf(backup);
    expect({ internal, sent: counters.wire!.flowsSent }).toEqual({ internal: 0, sent: 0 });

    expect(await again.stop()).toBe(0);
    expect(Math.max(...timers(backup).values())).toBeLessThanOrEqual(PURGE_SECONDS);
    await start(backup);
    await connected(backup);
    await until(() => Math.min(...timers(backup).values()) > PURGE_SECONDS, DEADLINE_MS, "the timers are right again");
    await same(primary, backup);
    expect(await sentBy(backup)).toBe(0);
  },
);

test.each(HOW)(
  "%s: a flow that the backup's own kernel moves becomes the backup's, and what somebody deletes there is made again",
  async (how) => {
    await using lab = await Lab.create();
    const sides = await liveSides(lab, how);
    const [primary, backup] = sides;
    await startPair(sides);
    insert(primary, several(1, 3), TIMEOUT_SECONDS);
    await same(primary, backup);
    insert(backup, [tcp(2, { mark: 77 })], TIMEOUT_SECONDS);
    await until(async () => (await cached(primary, "external")).length === 1, DEADLINE_MS, "the primary hears of it");
    expect((await cached(backup, "internal")).join()).toContain('"mark":77');
    remove(backup, [tcp(1), tcp(3)]);
    await until(() => timers(backup).size === 3, DEADLINE_MS, "they are made again");
  },
);

test.each(HOW)(
  "%s: a daemon that starts where the virtual addresses are follows nobody: its kernel stays as it is, and is what counts",
  async (how) => {
    await using lab = await Lab.create();
    const settings = { keepalived: { virtual_addresses: [VIRTUAL] }, gate: { mode: "off" } };
    const sides = await liveSides(lab, how, settings);
    const [primary, backup] = sides;
    await primary.namespace.ip(`address add ${VIRTUAL}/32 dev sync`);
    const [daemon, other] = await startPair(sides);
    await other.succeed("notify", "backup");
    insert(primary, several(1, FEW), TIMEOUT_SECONDS);
    await same(primary, backup);

    daemon.process.kill("SIGKILL");
    await daemon.process.exited;
    insert(primary, several(1_000, FEW), TIMEOUT_SECONDS);
    insert(backup, [tcp(2, { mark: 77 })], TIMEOUT_SECONDS); // The backup's kernel sees it move, and the backup says so.
    const before = states(primary);
    await start(primary);
    await connected(primary);
    await until(
      async () => (await statusOf(backup)).external >= 2 * FEW - 1,
      DEADLINE_MS,
      "the backup was told of all",
    );
    expect(states(primary)).toEqual(before);
    insert(primary, [tcp(2, { mark: 5 })], TIMEOUT_SECONDS); // What moves here is the primary's.
    await same(primary, backup);
    const { role, internal, apply } = await statusOf(primary);
    expect({ role, internal, active: apply.active }).toEqual({ role: "master", internal: 2 * FEW, active: false });
    await until(async () => (await statusOf(backup)).internal === 0, DEADLINE_MS, "the backup has nothing of its own");
  },
);

test("a ctsync peer that dies amid a takeover leaves nothing in the external cache that could come back", async () => {
  await using lab = await Lab.create();
  const sides = await liveSides(lab, "sealed");
  const [primary, backup] = sides;
  const [first, second] = await startPair(sides);
  await first.succeed("notify", "master");
  insert(primary, several(1, FEW), TIMEOUT_SECONDS);
  await same(primary, backup);
  first.process.kill("SIGKILL");
  await first.process.exited;
  await second.succeed("notify", "master");
  expect(await statusOf(backup)).toMatchObject({ internal: FEW, external: FEW });
  remove(backup, several(1, FEW / 2));
  // It did not withdraw them, and will not. Told once more, the takeover brings nothing back.
  await until(async () => (await statusOf(backup)).internal === FEW / 2, DEADLINE_MS, "half of them ended");
  await second.succeed("notify", "master");
  await until(async () => (await statusOf(backup)).external === 0, DEADLINE_MS, "the dead peer's flows are let go");
  await second.command("notify", "backup"); // Nobody answers what it asks.
  expect(states(backup).size).toBe(FEW / 2);
});
