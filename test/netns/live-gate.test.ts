/**
 * The takeover gate of a backup whose kernel follows its peer, in mode "auto": shut as long as that kernel lacks something,
 * and mute as long as the peer is there.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../../src/flow/status.ts";
import { type Daemon, writeConfig } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, makeSides, remove, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

const FLOWS_MAX = 64;
/** Looked at every third of it. */
const WATCHDOG_SECONDS = 3;
const LINK = { interface: "sync", local: "10.0.9.2", peer: "10.0.9.1" };
const several = (from: number, count: number): f.Flow[] =>
  Array.from({ length: count }, (_, i) => flowOf({ l4proto: f.IPPROTO_TCP, source: from + i, state: 3 }));

let lab: Lab;
let sides: Sides;
let other: Daemon;
let backup: Daemon;

beforeEach(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab, { sync: { apply: "live" } });
  for (const { namespace } of sides)
    await namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  await writeConfig(lab, sides[1].namespace.name, {
    ...LINK,
    sync: { apply: "live", flows_max: FLOWS_MAX },
    gate: { mode: "auto", watchdog_seconds: WATCHDOG_SECONDS },
    keepalived: { virtual_addresses: ["192.0.2.100"] },
  });
  [other, backup] = await startPair(sides);
  await other.succeed("notify", "master"); // Else its kernel follows the backup's.
  await backup.succeed("notify", "backup");
});
afterEach(() => lab[Symbol.asyncDispose]());

const becomes = (state: "open" | "shut", why: string): Promise<boolean> =>
  until(async () => (await statusOf(sides[1])).gate.state === state, DEADLINE_MS, `the gate is ${state}: ${why}`);

test("it shuts while flows of the peer find no room, and opens once the kernel has all of them", async () => {
  const [primary] = sides;
  insert(primary, several(1, FLOWS_MAX / 2));
  await until(
    async () => (await statusOf(sides[1])).apply.standing === FLOWS_MAX / 2,
    DEADLINE_MS,
    "the kernel has them",
  );
  await becomes("open", "nothing is missing");
  insert(primary, several(1_000, FLOWS_MAX));
  await becomes("shut", "the cache is full");
  remove(primary, several(1_000, FLOWS_MAX));
  await becomes("open", "nothing is missing any more");
  expect((await statusOf(sides[1])).gate.held).toBe(0);
});

test("it shuts while the kernel refuses one, and a takeover opens it", async () => {
  const [primary, side] = sides;
  const status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
  const translated = (source: number): f.Flow =>
    flowOf({
      l4proto: f.IPPROTO_TCP,
      source,
      state: 3,
      replyDestination: 100,
      replyPorts: f.portsWord(80, 5_000),
      status,
    });
  await becomes("open", "nothing is missing");
  insert(side, [translated(9)]); // Its reply tuple is taken here.
  insert(primary, [translated(1), ...several(2, 5)]);
  await until(async () => (await statusOf(side)).apply.failing === 1, DEADLINE_MS, "one is refused");
  await becomes("shut", "one is refused");
  expect((await backup.command("notify", "master")).status).toBe(1);
  expect((await statusOf(side)).gate.state).toBe("open");
});

test("what is INVALID goes unanswered while the peer is connected, in either role; a hung daemon answers, and one alone", async () => {
  const [, { namespace }] = sides;
  /** Seconds for which the kernel leaves it unanswered if nobody says so again; 0: it does not. */
  const left = async (): Promise<number> => {
    const set = await namespace.run(["nft", "list", "set", "inet", "ctsync", "mute"]);
    const [, seconds = "0", milliseconds = "0"] = /ipv4 timeout \S+ expires (?:(\d+)s)?(?:(\d+)ms)?/.exec(set) ?? [];
    return Number(seconds) + Number(milliseconds) / 1_000;
  };
  for (const role of ["backup", "master"]) {
    await backup.succeed("notify", role);
    await until(async () => (await left()) > 0, DEADLINE_MS, `${role}: it is mute`);
    let before = Number.POSITIVE_INFINITY;
    const renewed = async (): Promise<boolean> => {
      const now = await left();
      const isRenewed = before > 0 && now > before;
      before = now;
      return isRenewed;
    };
    await until(renewed, DEADLINE_MS, `${role}: it is said again before the time is up`);
  }
  backup.process.kill("SIGSTOP");
  await until(async () => (await left()) === 0, DEADLINE_MS, "hung, it answers by itself");
  backup.process.kill("SIGCONT");
  await until(async () => (await left()) > 0, DEADLINE_MS, "it goes on");
  expect((await backup.status()).gate).toMatchObject({ state: "open", mute: true, unanswered: 0 });
  await other.stop();
  await until(async () => !(await backup.status()).gate.mute, DEADLINE_MS, "the peer is gone");
  expect(await left()).toBe(0);
});
