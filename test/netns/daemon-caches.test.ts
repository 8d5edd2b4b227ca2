/** What an operator sees of the caches and does to them: dumps while flows change, flushes, timers, what is ignored. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { Attribute, ConntrackObject } from "../../ffi/libnetfilter-conntrack.ts";
import * as f from "../../src/flow/flow.ts";
import * as cta from "../../src/kernel/ctnetlink-attributes.ts";
import { FlowRequests } from "../../src/kernel/flow-requests.ts";
import { RequestBatch } from "../../src/kernel/request-batch.ts";
import { CTSYNC, type Daemon, type LabConfig } from "../lab/ctsync.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import {
  cached,
  DEADLINE_MS,
  insert,
  kernelFlows,
  makeSides,
  remove,
  replicated,
  type Sides,
  startPair,
  statusOf,
} from "./daemon-pair.ts";
import { findEntry, rawTable, table, unwrap } from "./kernel-table.ts";
import { flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);

const IP_CT_TCP_FLAG_BE_LIBERAL = 0x08;

let lab: Lab;
let sides: Sides;
let daemons: [Daemon, Daemon];

async function pair(settings: Partial<LabConfig> = {}): Promise<void> {
  sides = await makeSides(lab, settings);
  daemons = await startPair(sides);
}

beforeEach(async () => {
  lab = await Lab.create();
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const tcp = (i: number): f.Flow =>
  flowOf({ l4proto: 6, source: 1 + (i >> 14), ports: f.portsWord(1 + (i & 0x3fff), 80), state: 3 });
const flows = (from: number, to: number): f.Flow[] => Array.from({ length: to - from }, (_, i) => tcp(from + i));
const lines = (text: string): string[] => text.split("\n").slice(0, -1);

test("dumps of both caches in both formats while flows come and go: whole lines, and the rest is there", async () => {
  await pair();
  const lasting = flows(0, 4_000);
  const passing = flows(20_000, 24_000);
  insert(sides[0], lasting);
  await replicated(sides[0], sides[1]);
  let changing = true;
  const change = (async () => {
    for (let i = 0; changing; i = (i + 500) % passing.length) {
      insert(sides[0], passing.slice(i, i + 500));
      await new Promise(setImmediate);
      remove(sides[0], passing.slice(i, i + 500));
    }
  })();
  for (const [i, cache] of (["internal", "external"] as const).entries()) {
    const text = lines(await daemons[i]!.succeed("dump", `--${cache}`));
    const json = lines(await daemons[i]!.succeed("dump", `--${cache}`, "--format", "json"));
    const shape =
      /^tcp {6}6 ESTABLISHED src=10\.0\.0\.\d+ dst=10\.0\.0\.2 sport=\d+ dport=80 src=\S+ dst=\S+ sport=80 dport=\d+ .*\[active since \d+s\]$/;
    for (const line of text) if (!shape.test(line)) expect(line).toMatch(shape);
    const sports = new Set(
      json
        .map((line) => JSON.parse(line).orig)
        .filter(({ src }) => src === "10.0.0.1")
        .map(({ sport }) => sport),
    );
    expect(sports.size).toBe(lasting.length);
    for (const dump of [text, json]) expect(dump.length).toBeGreaterThanOrEqual(lasting.length);
  }
  changing = false;
  await change;
  await replicated(sides[0], sides[1]);
  expect((await statusOf(sides[0])).internal).toBe(lasting.length);
});

test("a reader that has seen enough, `| head -1`, ends a dump without complaint", async () => {
  await pair();
  insert(sides[0], flows(0, 16_000));
  await until(async () => (await statusOf(sides[0])).internal === 16_000, DEADLINE_MS, "the flows are seen");
  for (const format of ["text", "json"]) {
    const dump = `${CTSYNC} dump --internal --format ${format} --config ${sides[0].config}`;
    const piped = await sides[0].namespace.exec(["bash", "-c", `set -o pipefail; ${dump} | head -1`]);
    expect(piped).toMatchObject({ status: 0, stderr: "" });
    expect(lines(piped.stdout)).toHaveLength(1);
  }
});

test("each target of flush is emptied, and nothing else", async () => {
  await pair();
  insert(sides[0], flows(0, 100));
  insert(sides[1], flows(200, 230));
  await replicated(sides[0], sides[1]);
  await replicated(sides[1], sides[0]);
  const counts = async (): Promise<number[]> => {
    const { internal, external } = await statusOf(sides[0]);
    return [internal, external, (await statusOf(sides[1])).external, kernelFlows(sides[0]).length];
  };
  expect(await counts()).toEqual([100, 30, 100, 100]);
  expect(await daemons[0].succeed("flush", "external")).toBe("removed 30 flows from the external cache\n");
  expect(await counts()).toEqual([100, 0, 100, 100]);
  expect(await daemons[0].succeed("flush", "internal")).toBe("removed 100 flows from the internal cache\n");
  expect(await counts()).toEqual([0, 0, 100, 100]);
  expect(await daemons[0].succeed("resync")).toMatch(
    /^read \d+ flows from the kernel: 100 new, 0 updated, 0 removed\n$/,
  );
  expect(await daemons[0].succeed("request")).toMatch(/^received \d+ flows from the peer\n$/);
  expect(await counts()).toEqual([100, 30, 100, 100]);
  expect(await daemons[0].succeed("flush")).toBe("removed 130 flows from both caches\n");
  expect(await counts()).toEqual([0, 0, 100, 100]);
  await daemons[0].succeed("resync");
  // The kernel's flows end, and the peer hears of each.
  expect(await daemons[0].succeed("flush", "kernel")).toBe("removed 100 flows from the kernel's table\n");
  await until(async () => Bun.deepEquals(await counts(), [0, 0, 0, 0]), DEADLINE_MS, "the flows are gone everywhere");
  expect(kernelFlows(sides[1])).toHaveLength(30);
});

test("reset-timers shortens longer timers, and touches neither shorter ones nor what is ignored", async () => {
  await pair({ sync: { purge_timeout_seconds: 50 }, ignoreAddresses: ["10.0.0.77"] });
  const own = flowOf({ l4proto: 6, source: 9, state: 3 });
  own.words[f.ORIG_SRC] = 0x0a000901; // 10.0.9.1, the machine's own.
  own.words[f.REPLY_DST] = 0x0a000901;
  const ignored = flowOf({ l4proto: 6, source: 77, state: 3 });
  const [long, short] = [flows(0, 300), flows(300, 310)];
  insert(sides[0], [...long, own, ignored], 900);
  insert(sides[0], short, 20);
  await replicated0(310);
  expect(await daemons[0].succeed("reset-timers")).toBe("shortened the timers of 300 flows to 50 seconds\n");
  const entries = table(sides[0].namespace);
  const timeout = (flow: f.Flow): number => findEntry(entries, flow)[f.TIMEOUT]!;
  for (const flow of long) expect(timeout(flow)).toBeWithin(40, 51);
  for (const flow of short) expect(timeout(flow)).toBeWithin(1, 21);
  for (const flow of [own, ignored]) expect(timeout(flow)).toBeGreaterThan(800);
  expect(await daemons[0].succeed("reset-timers")).toBe("shortened the timers of 0 flows to 50 seconds\n");
});

test("a flow whose timer was shortened goes on, should this node be primary again, wherever its sequence numbers are by then", async () => {
  await pair();
  const [{ namespace }] = sides;
  insert(sides[0], flows(0, 1), 900);
  inside(namespace, () => {
    const windows = new Windows(unwrap(RequestBatch.open("check windows")));
    windows.check(tcp(0));
    expect(windows.flush()).toBe(0);
    windows.close();
  });
  expect(liberal(namespace)).toEqual([0, 0]);
  expect(await daemons[0].succeed("reset-timers")).toBe("shortened the timers of 1 flow to 60 seconds\n");
  expect(liberal(namespace)).toEqual([IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL]);
});

/** What is put into a kernel by ourselves is liberal; what packets make is not. */
class Windows extends FlowRequests {
  check(flow: f.Flow): void {
    this.begin(flow, 0, cta.CT_NEW, 0);
    const { writer } = this.batch;
    const outer = writer.nest(cta.CTA_PROTOINFO);
    const inner = writer.nest(cta.CTA_PROTOINFO_TCP);
    for (const flags of [cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, cta.CTA_PROTOINFO_TCP_FLAGS_REPLY])
      writer.u16(flags, IP_CT_TCP_FLAG_BE_LIBERAL); // As the mask alone.
    writer.unnest(inner);
    writer.unnest(outer);
    this.batch.end();
  }
}

/** The flag in both directions of the one TCP flow. */
function liberal(namespace: Namespace): number[] {
  return rawTable(namespace).flatMap((message) => {
    const ct = new ConntrackObject();
    if (!ct.parse(message)) throw new Error("it cannot be read");
    const flags = ct.has(Attribute.TCP_STATE) ? [ct.u8(Attribute.TCP_FLAGS_ORIG), ct.u8(Attribute.TCP_FLAGS_REPL)] : [];
    ct.destroy();
    return flags.map((bits) => bits & IP_CT_TCP_FLAG_BE_LIBERAL);
  });
}

const replicated0 = async (count: number): Promise<void> => {
  await until(async () => (await statusOf(sides[0])).internal === count, DEADLINE_MS, `${count} flows in the cache`);
};

/** A flow with `address` at the end given; the other end is somewhere else. */
function between(source: readonly number[], destination: readonly number[], port: number): f.Flow {
  const flow = flowOf({ l4proto: 17, ipv6: source.length === 4, ports: f.portsWord(port, 80) });
  flow.words.set([...source, 0, 0, 0].slice(0, 4), f.ORIG_SRC);
  flow.words.set([...source, 0, 0, 0].slice(0, 4), f.REPLY_DST);
  flow.words.set([...destination, 0, 0, 0].slice(0, 4), f.ORIG_DST);
  flow.words.set([...destination, 0, 0, 0].slice(0, 4), f.REPLY_SRC);
  return flow;
}

test("the machine's own, the link's and the configured addresses are left out, of both families and at either end", async () => {
  await pair({ ignoreAddresses: ["192.0.2.10", "198.51.100.0/24", "2001:db8:77::/48"] });
  await sides[0].namespace.ip(
    "link add inside type veth peer name plug",
    "link set dev inside up",
    "address add 10.7.0.1/24 dev inside",
  );
  await sides[0].namespace.ip("address add 2001:db8:7::1/64 dev inside nodad");
  const far = [0x0a630001];
  const far6 = [0x20010db8, 0x00990000, 0, 1];
  const ignored: readonly number[][] = [
    [0xc000020a], // 192.0.2.10
    [0xc6336463], // 198.51.100.99
    [0x0a070001], // 10.7.0.1, an own address
    [0x0a000901], // both ends of the link
    [0x0a000902],
    [0x7f000001],
    [0x20010db8, 0x00770001, 0, 5],
    [0x20010db8, 0x00070000, 0, 1],
  ];
  const kept: readonly number[][] = [
    [0xc000020b], // 192.0.2.11
    [0xc6336563], // 198.51.101.99
    [0x0a070002],
    [0x20010db8, 0x00780000, 0, 5],
    [0x20010db8, 0x00070000, 0, 2],
  ];
  const bothWays = (addresses: readonly number[][]): f.Flow[] =>
    addresses.flatMap((address, i) => {
      const other = address.length === 4 ? far6 : far;
      return [between(address, other, 1000 + i), between(other, address, 2000 + i)];
    });
  insert(sides[0], [...bothWays(ignored), ...bothWays(kept)]);
  const names = ["192.0.2.10", "198.51.100.99", "10.7.0.1", "2001:db8:77:1::5", "2001:db8:7::1"];
  const onlyKept = async (): Promise<boolean> => {
    const dump = await cached(sides[0], "internal");
    return dump.length === 2 * kept.length && !names.some((name) => dump.join("\n").includes(`"${name}"`));
  };
  // The kernel may tell of the IPv6 address after it has told of its flows, which are taken back then.
  await until(onlyKept, DEADLINE_MS, "the cache has what is to be kept, and nothing else");
  // A dump of the kernel's table finds them again, and leaves them out again.
  expect(await daemons[0].succeed("resync")).toContain(": 0 new, 0 updated, 0 removed\n");
  await until(
    async () => (await statusOf(sides[1])).external === 2 * kept.length,
    DEADLINE_MS,
    "the peer has the rest",
  );
});

test("flows of a virtual address are taken back once the address comes, without a reading of the kernel", async () => {
  await pair();
  const virtual = [0x0a320001]; // 10.50.0.1
  insert(sides[0], [
    between(virtual, [0x0a630001], 1),
    between([0x0a630001], virtual, 2),
    between([0x0a320002], virtual, 3),
    tcp(1),
  ]);
  await replicated(sides[0], sides[1]);
  await sides[0].namespace.ip(
    "link add inside type veth peer name plug",
    "link set dev inside up",
    "address add 10.50.0.1/32 dev inside",
  );
  await until(async () => (await statusOf(sides[1])).external === 1, DEADLINE_MS, "the peer forgets them as well");
  expect((await statusOf(sides[0])).internal).toBe(1);
  // And no event brings them in again.
  insert(sides[0], [between(virtual, [0x0a630002], 4), tcp(2)]);
  await until(async () => (await statusOf(sides[1])).external === 2, DEADLINE_MS, "the other flow comes");
  expect((await statusOf(sides[0])).internal).toBe(2);
});
