import { expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryFlow, give, HOST6, makeFlow } from "../../test/make-flow.ts";
import { ExternalCache } from "../cache/external.ts";
import { FlowHash } from "../cache/hash.ts";
import { decodeFlow } from "../wire/decode.ts";
import { encodeFlow } from "../wire/encode.ts";
import { CT_NEW, putHeader } from "../wire/header.ts";
import { contentDigest, keyDigest } from "./digest.ts";
import * as f from "./flow.ts";
import { IPS_ASSURED, IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from "./status.ts";

const digestOf = ({ words }: f.Flow): [number, number] => {
  const key = keyDigest(words);
  return [key, contentDigest(words, key)];
};

/** The flow as the peer's external cache has it; undefined where its message is refused. */
function received(flow: f.Flow): f.Flow | undefined {
  const view = new DataView(new ArrayBuffer(512));
  const bytes = encodeFlow(flow, view, 0, false);
  putHeader(view, 0, CT_NEW, 0, bytes, 1);
  const heard = new f.Flow();
  if (decodeFlow(view, 0, bytes, heard) !== "ok") return undefined;
  const cache = new ExternalCache(4, new FlowHash(1, 2));
  cache.create(heard, 0);
  const known = new f.Flow();
  cache.read(cache.nextLive(0), known, 0);
  return known;
}

const L4PROTOS = [1, 6, 17, 33, 41, 47, 58, 132, 136];
const DONE = [0, IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE];

/** Any flow that a kernel may have, of every protocol, zone and NAT. */
const kernelFlow = fc
  .record({
    flow: arbitraryFlow,
    l4proto: fc.constantFrom(...L4PROTOS),
    direction: fc.constantFrom(0, 0, 1, 2),
    done: fc.constantFrom(...DONE),
    name: fc.constantFrom("", "ftp", "elevenchars", "twelve-chars", "fifteen-letters"),
    vtags: fc.boolean(),
  })
  .map(({ flow, l4proto, direction, done, name, vtags }) => {
    const { words } = flow;
    words[f.PROTO] = f.protoWord(flow.family, l4proto, flow.zone, direction);
    words[f.HAS] |= f.HAS_STATUS | f.HAS_PORTS;
    words[f.HAS] &= ~f.HAS_HELPER;
    if (l4proto !== 6 && l4proto !== 33 && l4proto !== 132) {
      words[f.HAS] &= ~f.HAS_STATE;
      words[f.INFO] = 0;
    }
    if (vtags && l4proto === 132) give(flow, f.HAS_VTAGS, f.VTAG_ORIG, 5, 6);
    f.setHelperName(words, name);
    if (name !== "") words[f.HAS] |= f.HAS_HELPER;
    words[f.STATUS] = ((words[f.STATUS] & ~DONE[3]) | done) >>> 0;
    if (words[f.HAS] & f.HAS_MASTER) words[f.MASTER_PROTO] = f.protoWord(flow.family, 6, 0, 0);
    if (words[f.HAS] & f.HAS_MASTER && flow.family === 4) {
      words.fill(0, f.MASTER_SRC + 1, f.MASTER_DST);
      words.fill(0, f.MASTER_DST + 1, f.MASTER_PORTS);
    }
    return flow;
  });

test("a flow of the kernel and what the peer makes of its message have the same digest", () => {
  fc.assert(
    fc.property(kernelFlow, (flow) => {
      const known = received(flow);
      if (known === undefined) throw new Error("a flow whose message is refused");
      expect(digestOf(known)).toEqual(digestOf(flow));
    }),
    { numRuns: 2_000 },
  );
});

test.each<[string, (flow: f.Flow) => void]>([
  ["status", ({ words }) => (words[f.STATUS] |= IPS_ASSURED)],
  ["mark", (flow) => give(flow, f.HAS_MARK, f.MARK, 7)],
  ["TCP state", (flow) => give(flow, f.HAS_STATE, f.INFO, 4)],
  ["translated destination", ({ words }) => (words[f.REPLY_SRC] ^= 1)],
  ["translated source", ({ words }) => (words[f.REPLY_DST] ^= 1)],
  ["translated ports", ({ words }) => (words[f.REPLY_PORTS] ^= 0x10001)],
  ["label", (flow) => give(flow, f.HAS_LABELS, f.LABELS + 3, 1)],
  ["helper", (flow) => give(flow, f.HAS_HELPER, f.HELPER, 0x66747000)],
  ["sequence adjustment", (flow) => give(flow, f.HAS_SEQADJ, f.SEQADJ + 5, 1)],
  ["SYNPROXY", (flow) => give(flow, f.HAS_SYNPROXY, f.SYNPROXY + 2, 1)],
  ["master", (flow) => give(flow, f.HAS_MASTER, f.MASTER_PROTO, f.protoWord(4, 6, 0, 0), 1)],
])("a change of %s changes the content's digest, not the key's", (_, change) => {
  const flow = makeFlow({ status: IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE });
  const [key, content] = digestOf(flow);
  change(flow);
  expect(digestOf(flow)[0]).toBe(key);
  expect(digestOf(flow)[1]).not.toBe(content);
});

test("the timeout, and attributes that say zero, change nothing", () => {
  const flow = makeFlow();
  const before = digestOf(flow);
  give(flow, f.HAS_TIMEOUT, f.TIMEOUT, 99);
  give(flow, f.HAS_SYNPROXY | f.HAS_LABELS | f.HAS_MARK, f.SYNPROXY, 0, 0, 0);
  expect(digestOf(flow)).toEqual(before);
});

test("each part of the key changes its digest", () => {
  const change = (parts: Parameters<typeof makeFlow>[0]) => keyDigest(makeFlow(parts).words);
  const keys = [
    change({}),
    change({ l4proto: 17 }),
    change({ zone: 1 }),
    change({ source: [0x0a000002] }),
    change({ destination: [0x0a000002] }),
    change({ ports: 5 }),
    change({ source: HOST6 }),
    change({ source: HOST6.with(1, 9) }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test("keys that count up spread evenly over buckets", () => {
  const buckets = new Uint32Array(4_096);
  for (let i = 0; i < 409_600; i++) buckets[keyDigest(makeFlow({ source: [0x0a000000 + i] }).words) >>> 20]++;
  expect(Math.min(...buckets)).toBeGreaterThan(50);
  expect(Math.max(...buckets)).toBeLessThan(160);
});
