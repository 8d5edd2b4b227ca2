import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bare, give, HOST, HOST6, makeFlow, SERVER, SERVER6 } from "../../test/make-flow.ts";
import {
  type Flow,
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_NAT,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  icmpWord,
  portsWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
} from "./flow.ts";
import { deriveReply, icmpReplyType } from "./reply.ts";

const VIRTUAL = [0xcb007101];
const INSIDE = [0x0a000063];
const VIRTUAL6 = [0x20010db8, 8, 0, 1];
const INSIDE6 = [0xfd000000, 0, 0, 99];
const NAT = [HAS_SNAT_ADDR, HAS_DNAT_ADDR, HAS_SNAT_PORT, HAS_DNAT_PORT];

function replyOf({ words }: Flow): { source: number[]; destination: number[]; ports: number } {
  return {
    source: [...words.slice(REPLY_SRC, REPLY_DST)],
    destination: [...words.slice(REPLY_DST, REPLY_PORTS)],
    ports: words[REPLY_PORTS],
  };
}

const padded = (address: readonly number[]): number[] => [...address, 0, 0, 0].slice(0, 4);

describe.each([
  ["IPv4", HOST, SERVER, VIRTUAL, INSIDE],
  ["IPv6", HOST6, SERVER6, VIRTUAL6, INSIDE6],
])("over %s", (_, host, server, virtual, inside) => {
  /** All sixteen ways to be translated: source and destination, address and port, each alone and together. */
  test.each(Array.from({ length: 16 }, (_, i) => NAT.filter((_, bit) => (i >> bit) & 1)))(
    "the reply is the mirror of the original tuple, but for what these bits say: %p %p %p %p",
    (...bits) => {
      const flow = bare(makeFlow({ source: host, ports: portsWord(40_000, 443) }));
      const has = bits.reduce((all, bit) => all | (bit ?? 0), 0);
      flow.words[HAS] = has;
      if (has & HAS_SNAT_ADDR) give(flow, 0, REPLY_DST, ...virtual);
      if (has & HAS_DNAT_ADDR) give(flow, 0, REPLY_SRC, ...inside);
      flow.words[REPLY_PORTS] = portsWord(has & HAS_DNAT_PORT ? 8443 : 0, has & HAS_SNAT_PORT ? 50_000 : 0);
      deriveReply(flow.words);
      expect(replyOf(flow)).toEqual({
        source: padded(has & HAS_DNAT_ADDR ? inside : server),
        destination: padded(has & HAS_SNAT_ADDR ? virtual : host),
        ports: portsWord(has & HAS_DNAT_PORT ? 8443 : 443, has & HAS_SNAT_PORT ? 50_000 : 40_000),
      });
      expect(flow.words[HAS]).toBe(has);
    },
  );
});

describe("ICMP", () => {
  test.each([
    ["echo request and reply", IPPROTO_ICMP, 8, 0],
    ["timestamp request and reply", IPPROTO_ICMP, 13, 14],
    ["information request and reply", IPPROTO_ICMP, 15, 16],
    ["address mask request and reply", IPPROTO_ICMP, 17, 18],
    ["ICMPv6 echo request and reply", IPPROTO_ICMPV6, 128, 129],
    ["ICMPv6 node information query and reply", IPPROTO_ICMPV6, 139, 140],
  ])("%s answer each other", (_, l4proto, request, reply) => {
    expect(icmpReplyType(l4proto, request)).toBe(reply);
    expect(icmpReplyType(l4proto, reply)).toBe(request);
  });

  test("no other type has an answer, in either family", () => {
    const answered = (l4proto: number): number[] =>
      Array.from({ length: 256 }, (_, type) => type).filter((type) => icmpReplyType(l4proto, type) >= 0);
    expect(answered(IPPROTO_ICMP)).toEqual([0, 8, 13, 14, 15, 16, 17, 18]);
    expect(answered(IPPROTO_ICMPV6)).toEqual([128, 129, 139, 140]);
    expect(answered(IPPROTO_TCP)).toEqual([]);
  });

  test.each([
    [IPPROTO_ICMP, HOST, 8, 0],
    [IPPROTO_ICMPV6, HOST6, 128, 129],
  ])("protocol %d: the reply has the same id and code, the answering type, and NAT ports mean nothing", (...row) => {
    const [l4proto, source, type, answer] = row;
    const flow = bare(makeFlow({ l4proto, source, ports: icmpWord(0x1234, type, 3) }));
    give(flow, HAS_NAT, REPLY_PORTS, 0);
    deriveReply(flow.words);
    expect(flow.words[REPLY_PORTS]).toBe(icmpWord(0x1234, answer, 3));
  });

  test("a type without an answer is mirrored as it is", () => {
    const flow = bare(makeFlow({ l4proto: IPPROTO_ICMP, ports: icmpWord(7, 3, 1) }));
    deriveReply(flow.words);
    expect(flow.words[REPLY_PORTS]).toBe(icmpWord(7, 3, 1));
  });

  test("a translated address shows in the reply", () => {
    const flow = bare(makeFlow({ l4proto: IPPROTO_ICMP, ports: icmpWord(7, 8, 0) }));
    give(flow, HAS_SNAT_ADDR, REPLY_DST, ...VIRTUAL);
    deriveReply(flow.words);
    expect(replyOf(flow)).toEqual({
      source: padded(SERVER),
      destination: padded(VIRTUAL),
      ports: icmpWord(7, 0, 0),
    });
  });
});

test.each([IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_GRE])(
  "protocol %d swaps its ports or keys",
  (l4proto) => {
    const flow = bare(makeFlow({ l4proto, ports: portsWord(0xffff, 0x8000) }));
    deriveReply(flow.words);
    expect(flow.words[REPLY_PORTS]).toBe(portsWord(0x8000, 0xffff));
  },
);

test.each([2, 50, 51, 112, 255])("protocol %d, which has no ports, has none in the reply", (l4proto) => {
  const flow = bare(makeFlow({ l4proto, ports: 0 }));
  deriveReply(flow.words);
  expect(replyOf(flow)).toEqual({ source: padded(SERVER), destination: padded(HOST), ports: 0 });
});

test("deriving again from what was derived changes nothing", () => {
  const protocols = fc.constantFrom(1, 6, 17, 47, 50, 58, 132);
  fc.assert(
    fc.property(protocols, fc.nat({ max: 0xffffffff }), fc.nat({ max: 15 }), (l4proto, ports, nat) => {
      const flow = bare(makeFlow({ l4proto, ports }));
      give(
        flow,
        NAT.reduce((all, bit, i) => all | ((nat >> i) & 1 ? bit : 0), 0),
        REPLY_SRC,
        1,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        3,
      );
      deriveReply(flow.words);
      const once = flow.words.slice();
      deriveReply(flow.words);
      expect(flow.words).toEqual(once);
    }),
  );
});
