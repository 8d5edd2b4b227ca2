/** Several words of keepalived at once, or in quick succession, as two instances or a flapping link bring them about. */
import { expect, test } from "bun:test";
import type { Flow } from "../../src/flow/flow.ts";
import { IPPROTO_TCP, portsWord, TIMEOUT } from "../../src/flow/flow.ts";
import type { Daemon } from "../lab/ctsync.ts";
import type { Outcome } from "../lab/execute.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, kernelFlows, makeSides, replicated, type Side, startPair } from "./daemon-pair.ts";
import { table } from "./kernel-table.ts";
import { flowOf } from "./kernel-traffic.ts";

const FLOWS = 5_000;
const TIMEOUT_SECONDS = 900;
/** sync.purge_timeout's default: what a backup shortens timers to. */
const PURGE_SECONDS = 60;

const manyFlows = (): Flow[] =>
  Array.from({ length: FLOWS }, (_, i) => flowOf({ l4proto: IPPROTO_TCP, ports: portsWord(10_000 + i, 80) }));

interface Pair {
  readonly primary: Side;
  readonly backup: Side;
  readonly daemon: Daemon; // the backup's
}

/** A primary with flows, and a backup that holds them in its external cache. */
async function makePair(lab: Lab): Promise<Pair> {
  const sides = await makeSides(lab);
  const [, daemon] = await startPair(sides);
  const [primary, backup] = sides;
  insert(primary, manyFlows(), TIMEOUT_SECONDS);
  await replicated(primary, backup);
  return { primary, backup, daemon };
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

const timeoutsOf = (side: Side): number[] => table(side.namespace).map((words) => words[TIMEOUT] ?? 0);

test("two instances that become master at once: each flow is committed once, and both calls succeed", async () => {
  await using lab = await Lab.create();
  const { primary, backup, daemon } = await makePair(lab);
  const outcomes = await Promise.all([
    daemon.command("notify", "INSTANCE", "INSIDE", "MASTER", "100"),
    daemon.command("notify", "INSTANCE", "OUTSIDE", "MASTER", "100"),
  ]);
  succeeded(outcomes);
  const committed = outcomes.map(({ stdout }) => Number(/^commit: committed (\d+) flows/m.exec(stdout)?.[1]));
  expect(committed.sort((a, b) => a - b)).toEqual([0, FLOWS]);
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

test("backup and at once master again: the flows have the timeouts back that the peer knows", async () => {
  await using lab = await Lab.create();
  const { backup, daemon } = await makePair(lab);
  succeeded(await say(daemon, ["master"], ["backup"], ["master"]));
  const timeouts = timeoutsOf(backup).filter((seconds) => seconds > PURGE_SECONDS);
  expect(timeouts.length).toBe(FLOWS);
  const { role, external, internal } = await daemon.status();
  expect({ role, external, internal }).toEqual({ role: "master", external: 0, internal: FLOWS });
});


test("a call that is cut off does not stop the takeover, and the next call finds it done", async () => {
  await using lab = await Lab.create();
  const { primary, backup, daemon } = await makePair(lab);
  const script = `timeout -s KILL 0.05 "$0" notify master --config "$1"`;
  await backup.namespace.exec(["sh", "-c", script, daemon.process.argv[4] ?? "", backup.config]);
  succeeded(await say(daemon, ["master"]));
  expect(kernelFlows(backup)).toEqual(kernelFlows(primary));
});
