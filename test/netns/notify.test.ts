/** Several words of keepalived at once, or in quick succession, as two instances or a flapping link bring them about. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Flow } from "../../src/flow/flow.ts";
import { IPPROTO_TCP, l4protoOf, PROTO, portsWord, TIMEOUT } from "../../src/flow/flow.ts";
import { CTSYNC, type Daemon } from "../lab/ctsync.ts";
import type { Outcome } from "../lab/execute.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, kernelFlows, makeSides, replicated, type Side, startPair } from "./daemon-pair.ts";
import { table } from "./kernel-table.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

const FLOWS = 5_000;
const TIMEOUT_SECONDS = 900;
/** sync.purge_timeout's default: what a backup shortens timers to. */
const PURGE_SECONDS = 60;

const MODES = ["commit", "live"] as const;

const manyFlows = (): Flow[] =>
  Array.from({ length: FLOWS }, (_, i) => flowOf({ l4proto: IPPROTO_TCP, ports: portsWord(10_000 + i, 80) }));

interface Pair {
  readonly primary: Side;
  readonly backup: Side;
  readonly peer: Daemon; // the primary's
  readonly daemon: Daemon; // the backup's
}

/** A primary with flows, and a backup that holds them in its external cache. */
async function makePair(lab: Lab, apply: "commit" | "live" = "commit"): Promise<Pair> {
  const sides = await makeSides(lab, { sync: { apply } });
  const [peer, daemon] = await startPair(sides);
  const [primary, backup] = sides;
  insert(primary, manyFlows(), TIMEOUT_SECONDS);
  await replicated(primary, backup);
  return { primary, backup, peer, daemon };
}

/** Says each word as soon as the daemon has taken the one before, while it still works on that. */
async function say(daemon: Daemon, ...words: readonly (readonly string[])[]): Promise<Outcome[]> {
  const before = (await daemon.status()).requests.notify ?? 0;
  const outcomes: Promise<Outcome>[] = [];
  for (const word of words) {
    outcomes.push(daemon.command("notify", ...word));
    const taken = async () => (await daemon.status()).requests.notify === before + outcomes.length;
    await until(taken, DEADLINE_MS, `the daemon hears ${word.join(" ")}`);
  }
  return Promise.all(outcomes);
}

const succeeded = (outcomes: readonly Outcome[]): void => {
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 0, stderr: "" });
};

/** Of the flows alone, not of the link's own. */
const timeoutsOf = (side: Side): number[] =>
  table(side.namespace)
    .filter((words) => l4protoOf(words[PROTO] ?? 0) === IPPROTO_TCP)
    .map((words) => words[TIMEOUT] ?? 0);

test("two instances that become master at once: each flow is committed once, and both calls succeed", async () => {
  await using lab = await Lab.create();
  const { primary, backup, daemon } = await makePair(lab);
  const outcomes = await Promise.all([
    daemon.command("notify", "INSTANCE", "INSIDE", "MASTER", "100"),
    daemon.command("notify", "INSTANCE", "OUTSIDE", "MASTER", "100"),
  ]);
  succeeded(outcomes);
  const committed = outcomes.map(({ stdout }) => Number(/^commit: committed (\d+) flows/m.exec(stdout)?.[1]));
  expect(committed).toEqual([FLOWS, FLOWS]); // One piece of work, which both wait for.
  expect((await daemon.status()).counters.kernel?.committed).toBe(FLOWS);
  expect(daemon.process.output.match(/master: commit: /g)).toHaveLength(1);
  expect(kernelFlows(backup)).toEqual(kernelFlows(primary));
  const { role, external, internal, lastRoleChange } = await daemon.status();
  expect({ role, external, internal }).toEqual({ role: "master", external: 0, internal: FLOWS });
  expect(lastRoleChange).toMatchObject({ role: "master", ok: true });
});

test("master and at once backup: the takeover is finished, then the timers are shortened and the peer is asked", async () => {
  await using lab = await Lab.create();
  const { primary, backup, daemon } = await makePair(lab);
  succeeded(await say(daemon, ["master"], ["backup"]));
  expect(kernelFlows(backup)).toEqual(kernelFlows(primary));
  expect(Math.max(...timeoutsOf(backup))).toBeLessThanOrEqual(PURGE_SECONDS);
  const { role, ready, external, lastRoleChange } = await daemon.status();
  expect({ role, ready, external }).toEqual({ role: "backup", ready: true, external: FLOWS });
  expect(lastRoleChange).toMatchObject({ role: "backup", ok: true });
});

test.each(MODES)("%s: backup and at once master again: no flow keeps the short timeout of a backup", async (apply) => {
  await using lab = await Lab.create();
  const { backup, daemon } = await makePair(lab, apply);
  succeeded(await say(daemon, ["master"], ["backup"], ["master"]));
  expect(Math.min(...timeoutsOf(backup))).toBeGreaterThan(PURGE_SECONDS);
  const { role, internal } = await daemon.status();
  expect({ role, internal }).toEqual({ role: "master", internal: FLOWS });
});

test.each(MODES)(
  "%s: fault and master again while no peer is there: no flow keeps the short timeout of a backup",
  async (apply) => {
    await using lab = await Lab.create();
    const { backup, daemon, peer } = await makePair(lab, apply);
    succeeded(await say(daemon, ["master"]));
    await peer.stop();
    succeeded(await say(daemon, ["fault"]));
    expect(Math.max(...timeoutsOf(backup))).toBeLessThanOrEqual(PURGE_SECONDS);
    succeeded(await say(daemon, ["master"]));
    expect(Math.min(...timeoutsOf(backup))).toBeGreaterThan(PURGE_SECONDS);
  },
);

test("a takeover goes on when the call that asked for it is killed, and the next call finds it done", async () => {
  await using lab = await Lab.create();
  const { primary, backup, daemon } = await makePair(lab);
  const call = backup.namespace.spawn([CTSYNC, "notify", "master", "--config", backup.config]);
  await until(async () => (await daemon.status()).requests.notify === 1, DEADLINE_MS, "the daemon hears master");
  call.kill();
  succeeded(await say(daemon, ["master"]));
  expect(kernelFlows(backup)).toEqual(kernelFlows(primary));
});
