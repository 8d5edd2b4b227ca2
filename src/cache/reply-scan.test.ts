import { expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryFlow, HOST6, makeFlow, SERVER6 } from "../../test/make-flow.ts";
import {
  Flow,
  IPPROTO_ICMP,
  icmpWord,
  KEY_WORDS,
  ORIG_SRC,
  portsWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
} from "../flow/flow.ts";
import { mirror } from "../flow/reply.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";
import { type ReplyScan, TUPLES_MAX } from "./reply-scan.ts";

const HASH = new FlowHash(1, 2);

/** The tuple of a packet in the reply direction. */
function replyOf({ words }: Flow): Uint32Array {
  const tuple = new Uint32Array(KEY_WORDS);
  tuple[0] = words[0];
  tuple.set(words.subarray(REPLY_SRC, REPLY_PORTS + 1), 1);
  return tuple;
}

const numbered = (i: number): Flow => makeFlow({ ports: portsWord(1_000 + i, 443) });

function translated(i: number): Flow {
  const flow = numbered(i);
  flow.words[REPLY_DST] = 0xcb007101;
  flow.words[REPLY_PORTS] = portsWord(443, 20_000 + i);
  return flow;
}

/** All that a walk finds, in parts of so many slots. */
function walked(scan: ReplyScan, slots: number): number[] {
  const found: number[] = [];
  while (scan.isUnderWay) scan.walk(slots, (slot) => void found.push(slot));
  return found;
}

test("flows by their reply tuple, in one walk, part by part", () => {
  const cache = new ExternalCache(64, HASH);
  const flows = [translated(0), numbered(1), translated(2), translated(3)];
  for (const flow of flows) cache.create(flow, 0);
  const scan = cache.replyScan();
  for (const flow of [flows[3]!, flows[1]!, translated(9)]) expect(scan.wants(replyOf(flow))).toBeTrue();
  const found: number[] = [];
  scan.walk(2, (slot) => void found.push(slot));
  expect([scan.isUnderWay, found]).toEqual([true, [1]]);
  scan.walk(2, (slot) => void found.push(slot));
  expect([scan.isUnderWay, found]).toEqual([false, [1, 3]]);
  scan.wants(replyOf(flows[0]!));
  expect(walked(scan, 64)).toEqual([0]);
});

test("what has only the same ports is not found; nor is a flow that has left", () => {
  const cache = new ExternalCache(64, HASH);
  for (const i of [0, 1]) cache.create(translated(i), 0);
  cache.destroy(translated(0));
  const scan = cache.replyScan();
  const elsewhere = replyOf(translated(1));
  elsewhere[ORIG_SRC]!++;
  for (const tuple of [replyOf(translated(0)), elsewhere]) scan.wants(tuple);
  expect(walked(scan, 64)).toEqual([]);
});

test("of both families, by ports alone and by ids of ICMP, and what mirrors the reply tuple", () => {
  const cache = new ExternalCache(64, HASH);
  const wide = makeFlow({ source: HOST6, destination: SERVER6 });
  wide.words.set([0x20010db8, 3, 0, 9], REPLY_SRC);
  const port = numbered(1);
  port.words[REPLY_PORTS] = portsWord(443, 9);
  const renamed = makeFlow({ l4proto: IPPROTO_ICMP, ports: icmpWord(7, 8, 0) });
  renamed.words[REPLY_PORTS] = icmpWord(8, 0, 0);
  const all = [wide, port, renamed];
  for (const flow of all) cache.create(flow, 0);
  for (const [slot, flow] of all.entries()) {
    const tuple = replyOf(flow);
    const scan = cache.replyScan();
    scan.wants(tuple);
    expect(tuple).toEqual(replyOf(flow));
    expect(walked(scan, 64)).toEqual([slot]);
    mirror(tuple);
    scan.wants(tuple);
    expect(walked(scan, 64)).toEqual([slot]);
  }
});

test("a walk is for so many tuples, and says when it has no room", () => {
  const cache = new ExternalCache(256, HASH);
  for (let i = 0; i < 200; i++) cache.create(translated(i), 0);
  const scan = cache.replyScan();
  const taken = Array.from({ length: 200 }, (_, i) => scan.wants(replyOf(translated(i))));
  expect(taken.filter(Boolean)).toHaveLength(TUPLES_MAX);
  expect(walked(scan, 10)).toEqual(Array.from({ length: TUPLES_MAX }, (_, i) => i));
});

test("any flow is found by its reply tuple, and nothing that has another one", () => {
  fc.assert(
    fc.property(fc.array(arbitraryFlow, { maxLength: 40 }), (flows) => {
      const cache = new ExternalCache(64, HASH);
      for (const flow of flows) cache.create(flow, 0);
      const stored = new Flow();
      const other = new Flow();
      const scan = cache.replyScan();
      for (let slot = cache.nextLive(0); slot >= 0; slot = cache.nextLive(slot + 1)) {
        cache.read(slot, stored, 0);
        const reply = replyOf(stored);
        scan.wants(reply);
        const found = walked(scan, 7);
        expect(found).toContain(slot);
        const mirrored = reply.slice();
        mirror(mirrored);
        for (const one of found) {
          cache.read(one, other, 0);
          expect([reply, mirrored]).toContainEqual(replyOf(other));
        }
      }
    }),
  );
});
