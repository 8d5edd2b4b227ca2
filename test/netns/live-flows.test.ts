/** What the kernel of a live backup is told of single flows: by a scripted peer, which says each thing once. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../../src/flow/status.ts";
import type { Daemon } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { DEADLINE_MS, insert, makeSides, type Side, start, statusOf } from "./daemon-pair.ts";
import { table } from "./kernel-table.ts";
import { flowOf, PORTS, type Wanted } from "./kernel-traffic.ts";
import { ScriptedPeer } from "./scripted-peer.ts";

setDefaultTimeout(60_000);

const [OURS, PEERS] = [0x0a000901, 0x0a000902];
const SOURCE_NAT = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
let lab: Lab;
let side: Side;
let daemon: Daemon;
let peer: ScriptedPeer;

beforeEach(async () => {
  lab = await Lab.create();
  const sides = await makeSides(lab, { sync: { apply: "live" } });
  side = sides[0];
  await side.namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  daemon = await start(side);
  peer = new ScriptedPeer(sides[1].namespace, PEERS, OURS);
});
afterEach(async () => {
  peer[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});

const tcp = (source: number, more: Partial<Wanted> = {}): f.Flow => flowOf({ l4proto: 6, source, state: 3, ...more });
const withTimeout = (flow: f.Flow, seconds: number): f.Flow => {
  flow.words[f.TIMEOUT] = seconds;
  return flow;
};

const entryOf = (flow: f.Flow): Uint32Array | undefined =>
  table(side.namespace).find((entry) => entry.subarray(0, f.KEY_WORDS).every((word, i) => word === flow.words[i]));
const stands = (flow: f.Flow, what: string, holds: (entry: Uint32Array) => boolean = () => true): Promise<boolean> =>
  until(
    () => {
      const entry = entryOf(flow);
      return entry !== undefined && holds(entry);
    },
    DEADLINE_MS,
    what,
  );

test("a flow of whose packets nobody speaks, and a long idle one, outlive their first timeout, and end with the peer's word", async () => {
  const silent = withTimeout(flowOf({ l4proto: f.IPPROTO_UDP, source: 1, status: IPS_CONFIRMED }), 7);
  const closing = withTimeout(tcp(2, { state: 8 }), 3);
  const idle = withTimeout(tcp(3), 432_000);
  peer.tell(silent, closing, idle);
  for (const flow of [silent, closing, idle]) await stands(flow, "the flow is in the kernel");
  const { counters } = await statusOf(side);
  const renewals = counters.apply!.renewed!;
  let absent = 0;
  // Three times around the longer of the two short timeouts.
  await until(
    async () => {
      for (const flow of [silent, closing, idle]) if (entryOf(flow) === undefined) absent++;
      return (await statusOf(side)).counters.apply!.renewed! >= renewals + 12;
    },
    40_000,
    "the timers were renewed many times",
  );
  expect(absent).toBe(0);
  expect(entryOf(silent)![f.TIMEOUT]).toBeLessThanOrEqual(7);
  expect(entryOf(closing)![f.TIMEOUT]).toBeLessThanOrEqual(3);
  expect(entryOf(idle)![f.TIMEOUT]).toBeWithin(431_800, 432_001);
  peer.end(silent, closing, idle);
  await until(() => [silent, closing, idle].every((flow) => entryOf(flow) === undefined), DEADLINE_MS, "all are gone");
});

test("a tuple that begins anew is a new entry: with other NAT, without what the old one had seen", async () => {
  const nat = (port: number): Partial<Wanted> => ({
    replyDestination: 100,
    replyPorts: f.portsWord(80, port),
    status: SOURCE_NAT,
  });
  peer.tell(tcp(1, nat(5000)), tcp(2));
  await stands(tcp(1), "it stands", (entry) => entry[f.REPLY_PORTS] === f.portsWord(80, 5000));
  await stands(tcp(2), "it stands");
  const began = tcp(2, { state: 1, status: IPS_CONFIRMED });
  peer.tell(tcp(1, nat(6000)), began);
  await stands(tcp(1), "it has its new port", (entry) => entry[f.REPLY_PORTS] === f.portsWord(80, 6000));
  await stands(began, "it has seen no reply", (entry) => (entry[f.STATUS]! & (IPS_SEEN_REPLY | IPS_ASSURED)) === 0);
  // Its port goes to another flow before the peer says that the first one ended.
  peer.tell(tcp(3, nat(6000)));
  peer.end(tcp(1));
  await stands(tcp(3), "the other one has the port", (entry) => entry[f.REPLY_PORTS] === f.portsWord(80, 6000));
  expect(entryOf(tcp(1))).toBeUndefined();
});

test("a related flow waits for its master; at a takeover it goes without", async () => {
  const hasMaster = (entry: Uint32Array): boolean => (entry[f.HAS]! & f.HAS_MASTER) !== 0;
  const early = tcp(1, { ports: f.portsWord(2000, 3000), master: [1, PORTS] });
  const orphan = tcp(2, { ports: f.portsWord(2000, 3000), master: [99, PORTS] });
  peer.tell(early, orphan);
  await until(async () => (await statusOf(side)).apply.failing === 2, DEADLINE_MS, "both wait");
  expect((await statusOf(side)).apply.refusals).toEqual([]);
  peer.tell(tcp(1));
  await stands(early, "it stands with its master", hasMaster);
  expect(entryOf(orphan)).toBeUndefined();
  expect(await daemon.succeed("notify", "master")).toMatch(/^apply: applied the last 1 flow/m);
  expect(hasMaster(entryOf(orphan)!)).toBeFalse();
  const { internal, external, counters } = await statusOf(side);
  expect({ internal, external, masterless: counters.apply!.masterless }).toEqual({
    internal: 3,
    external: 0,
    masterless: 1,
  });
});

test("what the kernel refuses is named, and a takeover fails for it and for nothing else", async () => {
  const translated = { replyDestination: 100, replyPorts: f.portsWord(80, 5000), status: SOURCE_NAT };
  insert(side, [tcp(9, translated)]);
  peer.tell(tcp(1, translated), tcp(2));
  await stands(tcp(2), "the other one stands");
  await until(async () => (await statusOf(side)).apply.failing === 1, DEADLINE_MS, "one is refused");
  expect((await statusOf(side)).apply.refusals[0]).toMatchObject({ errno: "EEXIST" });
  const outcome = await daemon.command("notify", "master");
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toContain("1 flows could not be put into the kernel");
  expect(entryOf(tcp(2))).toBeDefined();
});
