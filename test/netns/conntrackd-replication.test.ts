/**
 * ctsync beside the real conntrackd, both ways round: every kind of flow, real traffic and inserted entries, over a link
 * that loses datagrams; compared flow by flow once it heals. Nobody refuses a message of the other.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { Lab } from "../lab/lab.ts";
import { Loss } from "../lab/loss.ts";
import { BOTH_WAYS_ROUND, converged, insert, type Pair, remove, startPair, SYNC } from "./conntrackd-pair.ts";
import { sendTraffic } from "./conntrackd-traffic.ts";
import { EVERY_KIND, flowOf } from "./kernel-traffic.ts";

const LOST_PERCENT = 20;
const TCP_CLOSE_WAIT = 5;

describe.each(BOTH_WAYS_ROUND)("%s is primary, %s is backup", (primary, backup) => {
  let lab: Lab;
  let pair: Pair;
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
    for (const loss of losses) await loss.heal();
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
    await whileLosing(() => remove(pair.primary.namespace, flows.filter((_, i) => i % 2 === 0)));
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});
