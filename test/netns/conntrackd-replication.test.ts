/**
 * ctsync beside the real conntrackd, both ways round: every kind of flow, real traffic and inserted entries, over a link
 * that loses datagrams; compared flow by flow once it heals. Nobody refuses a message of the other.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { Loss } from "../lab/loss.ts";
import { until } from "../lab/until.ts";
import { BOTH_WAYS_ROUND, converged, insert, type Pair, remove, SYNC, startPair } from "./conntrackd-pair.ts";
import { sendTraffic } from "./conntrackd-traffic.ts";
import { EVERY_KIND, flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);
const GENERATE = `${import.meta.dir}/../lab/generate.ts`;
const DEADLINE_MS = 10_000;
const LOST_PERCENT = 20;
const TCP_CLOSE_WAIT = 5;

describe.each(BOTH_WAYS_ROUND)("%s is primary, %s is backup", (primary, backup) => {
  let lab: Lab;
  let pair: Pair;
  let lostCount = 0;
  const flows = EVERY_KIND.map(([, wanted]) => flowOf(wanted));

  beforeAll(async () => {
    lab = await Lab.create();
    pair = await startPair(lab, [primary, backup]);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** Does `work` while both directions of the link lose datagrams, then waits until the caches are equal. */
  async function whileLosing(work: () => void | Promise<void>): Promise<void> {
    const losses = [
      await Loss.of(pair.primary.namespace, SYNC, LOST_PERCENT),
      await Loss.of(pair.backup.namespace, SYNC, LOST_PERCENT),
    ];
    await work();
    for (const loss of losses) {
      lostCount += await loss.lostCount();
      await loss.heal();
    }
    await converged(pair);
  }

  test("new flows of every kind", async () => {
    await whileLosing(() => insert(pair.primary.namespace, flows));
  });

  test("updates of each: mark, and TCP's state", async () => {
    for (const flow of flows) {
      flow.words[f.MARK]! += 1000;
      if (flow.l4proto === f.IPPROTO_TCP) flow.words[f.INFO] = (flow.words[f.INFO]! & ~0xff) | TCP_CLOSE_WAIT;
    }
    await whileLosing(() => insert(pair.primary.namespace, flows));
  });

  test("real traffic: TCP, UDP, ICMP, ICMPv6, GRE, ESP, translated both ways, and FTP with its related flow", async () => {
    await whileLosing(() => sendTraffic(pair));
  });

  test("destroys of every second one", async () => {
    await whileLosing(() =>
      remove(
        pair.primary.namespace,
        flows.filter((_, i) => i % 2 === 0),
      ),
    );
  });

  test("thousands of flows that come, change and go", async () => {
    const { namespace } = pair.primary;
    const generate = (count: number, action: string, ...options: string[]) =>
      namespace.run([process.execPath, GENERATE, "--count", `${count}`, "--action", action, ...options]);
    await whileLosing(async () => {
      await generate(3_000, "insert", "--snat");
      await generate(3_000, "update", "--snat", "--mark", "7");
      await generate(1_000, "delete", "--snat");
    });
    expect(lostCount).toBeGreaterThan(0);
  });

  test("GRE and UDP-Lite between two hosts are one entry for the backup, and its end is that of all: so the protocol", async () => {
    const [source, other] = [240, 241];
    const tunnels = [5, 6].map((key) => flowOf({ l4proto: f.IPPROTO_GRE, source, ports: f.portsWord(0, key) }));
    const streams = [7, 8].map((port) => flowOf({ l4proto: f.IPPROTO_UDPLITE, source, ports: f.portsWord(port, 9) }));
    const held = async () =>
      (await pair.backup.external()).filter(({ orig }) => orig.includes("src=10.0.0.240 ")).length;
    insert(pair.primary.namespace, [...tunnels, ...streams]);
    await converged(pair);
    expect(await held()).toBe(2);
    remove(pair.primary.namespace, [tunnels[0]!, streams[0]!]);
    await until(async () => (await held()) === 0, DEADLINE_MS, "the backup has lost all four");
    remove(pair.primary.namespace, [tunnels[1]!, streams[1]!]);
    insert(pair.primary.namespace, [flowOf({ l4proto: f.IPPROTO_UDP, source: other })]);
    await converged(pair);
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});
