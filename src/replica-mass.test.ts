/** Differences of any size are mended in seconds, with bounded traffic, whatever the link loses. */
import { describe, expect, test } from "bun:test";
import { give, makeFlow } from "../test/make-flow.ts";
import { Datagrams } from "../test/outbound.ts";
import { Node, PEER, talk } from "../test/replica-node.ts";
import { type Flow, HAS_MARK, MARK, ORIG_SRC, portsWord } from "./flow/flow.ts";
import { EVENT_NEW } from "./replica.ts";

/** CTSYNC_MASS=100000 measures with more, and prints. */
const FLOWS = Number(process.env.CTSYNC_MASS ?? 20_000);
const STEP_MS = 5;

function numbered(i: number): Flow {
  const flow = makeFlow({ ports: portsWord(1 + (i & 0x7fff), 443) });
  flow.words[ORIG_SRC] += i >>> 15;
  return flow;
}

/** Two nodes whose caches are equal, and known to be. */
function filled(): [Node, Node] {
  const limits = { resendQueue: 16_384, inFlightMax: 4_096 };
  const nodes: [Node, Node] = [new Node(1_000, 2 * FLOWS, 11, limits), new Node(5_000, 2 * FLOWS, 22, limits)];
  for (let i = 0; i < 4; i++) talk(...nodes, 1_000);
  for (let i = 0; i < FLOWS; i++) nodes[0].event(EVENT_NEW, numbered(i));
  for (let i = 0; i < 3; i++) talk(...nodes, 1_000);
  expect(nodes[0].replica.proof(PEER)).toMatchObject({ flows: FLOWS, differing: 0 });
  return nodes;
}

interface Mended {
  readonly ms: number;
  readonly bytes: number;
}

/** Runs until the caches are proven equal. Of a hundred datagrams `lossPercent` are lost, spread over them. */
function mend([a, b]: [Node, Node], lossPercent: number): Mended {
  const startMs = a.nowMs;
  const out = new Datagrams();
  let bytes = 0;
  let dice = 1;
  const arrives = (): boolean => {
    dice = (Math.imul(dice, 1_103_515_245) + 12_345) >>> 0;
    return (dice >>> 16) % 100 >= lossPercent;
  };
  while (a.replica.proof(PEER).equalMs <= startMs && a.nowMs < startMs + 60_000) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      const said = from.says(STEP_MS, out);
      for (const datagram of said) bytes += datagram.length;
      to.hears(...said.filter(arrives));
    }
  }
  return { ms: a.nowMs - startMs, bytes };
}

/** The external cache lacks so many flows, has as many altered, or as many too much. */
function spoil({ replica, nowMs }: Node, count: number, how: "missing" | "altered" | "surplus"): void {
  const { external } = replica;
  for (let i = 0; i < count; i++) {
    const flow = numbered(Math.floor((i * FLOWS) / count));
    if (how === "missing") external.remove(external.find(flow));
    else if (how === "altered") external.create(give(flow, HAS_MARK, MARK, 9), nowMs);
    else {
      flow.words[ORIG_SRC] += 1 << 20;
      external.create(flow, nowMs);
    }
  }
}

describe.each(["missing", "altered", "surplus"] as const)("flows that are %s", (how) => {
  test.each([
    [1, 0],
    [FLOWS / 100, 0],
    [FLOWS, 0],
    [1, 40],
    [FLOWS / 100, 40],
    [FLOWS, 40],
  ])("%d of them, %d in a hundred datagrams lost", (count, lossPercent) => {
    const nodes = filled();
    spoil(nodes[1], count, how);
    const { ms, bytes } = mend(nodes, lossPercent);
    if (process.env.CTSYNC_MASS !== undefined) console.log(`  ${ms} ms, ${bytes} bytes`);
    expect(nodes[1].replica.external.count).toBe(FLOWS);
    expect(ms).toBeLessThan(lossPercent === 0 ? 5_000 : 40_000);
    // Each flow in a list or two, and again whole; sums and verdicts each quarter of a second.
    expect(bytes).toBeLessThan((lossPercent === 0 ? 1 : 4) * (200_000 + 30 * FLOWS + 300 * count));
  });
});
