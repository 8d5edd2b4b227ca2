import { expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryFlow, HOST6, makeFlow, SERVER6 } from "../../test/make-flow.ts";
import { Flow, IPPROTO_ICMP, icmpWord, KEY_WORDS, portsWord, REPLY_DST, REPLY_PORTS, REPLY_SRC } from "../flow/flow.ts";
import { mirror } from "../flow/reply.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";

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

test("flows by their reply tuple, those alone that are translated; part by part", () => {
  const cache = new ExternalCache(64, HASH);
  const flows = [translated(0), numbered(1), translated(2), translated(3)];
  for (const flow of flows) cache.create(flow, 0);
  const index = cache.replyIndex();
  const found = (): number[] => flows.map((flow) => index.find(replyOf(flow)));
  expect([index.isWhole, found()]).toEqual([false, [-1, -1, -1, -1]]);
  index.build(3);
  expect([index.isWhole, found()]).toEqual([false, [0, -1, 2, -1]]);
  index.build(3);
  expect([index.isWhole, found()]).toEqual([true, [0, -1, 2, 3]]);
});

test("a flow that left, or was translated anew, is not found where it was; one that took its slot is none of it", () => {
  const cache = new ExternalCache(64, HASH);
  for (const i of [0, 1]) cache.create(translated(i), 0);
  const index = cache.replyIndex();
  index.build(64);
  cache.destroy(translated(0));
  cache.create(translated(5), 0);
  expect(cache.find(translated(5))).toBe(0);
  const anew = translated(1);
  anew.words[REPLY_PORTS] = portsWord(443, 30_000);
  cache.create(anew, 0);
  expect([translated(0), translated(1)].map((flow) => index.find(replyOf(flow)))).toEqual([-1, -1]);
});

test("of both families, ports alone and ids of ICMP count as translated", () => {
  const cache = new ExternalCache(64, HASH);
  const wide = makeFlow({ source: HOST6, destination: SERVER6 });
  wide.words.set([0x20010db8, 3, 0, 9], REPLY_SRC);
  const port = numbered(1);
  port.words[REPLY_PORTS] = portsWord(443, 9);
  const ping = (id: number): Flow => makeFlow({ l4proto: IPPROTO_ICMP, ports: icmpWord(id, 8, 0) });
  const renamed = ping(7);
  renamed.words[REPLY_PORTS] = icmpWord(8, 0, 0);
  const plain = [makeFlow({ source: HOST6, ports: portsWord(1, 2) }), ping(9)];
  const all = [wide, port, renamed, ...plain];
  for (const flow of all) cache.create(flow, 0);
  const index = cache.replyIndex();
  index.build(64);
  expect(all.map((flow) => index.find(replyOf(flow)))).toEqual([0, 1, 2, -1, -1]);
});

test("any flow that is not the mirror of itself is found by its reply tuple, or one that has the same", () => {
  fc.assert(
    fc.property(fc.array(arbitraryFlow, { maxLength: 40 }), (flows) => {
      const cache = new ExternalCache(64, HASH);
      for (const flow of flows) cache.create(flow, 0);
      const index = cache.replyIndex();
      while (!index.isWhole) index.build(7);
      const stored = new Flow();
      const other = new Flow();
      for (let slot = cache.nextLive(0); slot >= 0; slot = cache.nextLive(slot + 1)) {
        cache.read(slot, stored, 0);
        const reply = replyOf(stored);
        const mirrored = stored.words.slice(0, KEY_WORDS);
        mirror(mirrored);
        const found = index.find(reply);
        if (reply.every((word, i) => word === mirrored[i])) continue; // It needs no index.
        expect(found).toBeGreaterThanOrEqual(0);
        cache.read(found, other, 0);
        expect(replyOf(other)).toEqual(reply);
      }
    }),
  );
});
