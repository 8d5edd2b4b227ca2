import { expect, test } from "bun:test";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  INFO,
  icmpWord,
  LABELS,
  MARK,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  SEQADJ,
  STATUS,
  SYNPROXY,
  setHelperName,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
  ZONE_ORIG_ONLY,
} from "./flow.ts";
import { flowJson } from "./json.ts";
import { deriveReply } from "./reply.ts";

function flowOf(proto: number, ports: number): Flow {
  const flow = new Flow();
  flow.words[PROTO] = proto;
  flow.words[ORIG_SRC] = 0x0a000001;
  flow.words[ORIG_DST] = 0x0a000002;
  flow.words[ORIG_PORTS] = ports;
  deriveReply(flow.words);
  return flow;
}

const objectOf = (flow: Flow): unknown => JSON.parse(flowJson(flow, 3));

test("all that is known of a TCP flow", () => {
  const flow = flowOf(protoWord(4, 6, 7, 0), portsWord(1000, 21));
  const words = flow.words;
  words[HAS] = HAS_STATE | HAS_WSCALE | HAS_STATUS | HAS_TIMEOUT | HAS_MARK | HAS_HELPER | HAS_LABELS;
  words[HAS] |= HAS_MASTER | HAS_MASTER_PORTS | HAS_SEQADJ | HAS_SYNPROXY;
  words[INFO] = 0x00080703;
  words[STATUS] = 0x800e;
  words[TIMEOUT] = 432000;
  words[MARK] = 0xdeadbeef;
  setHelperName(words, "ftp");
  words[LABELS] = 0x80000001;
  words[LABELS + 3] = 0x10;
  words[MASTER_PROTO] = protoWord(4, 6, 0, 0);
  words[MASTER_SRC] = 0x0a000003;
  words[MASTER_DST] = 0x0a000004;
  words[MASTER_PORTS] = portsWord(5, 6);
  words.set([0xffffffff, 6, -12, 0, 0, 0], SEQADJ);
  words.set([1, 2, 3], SYNPROXY);
  expect(objectOf(flow)).toEqual({
    family: "ipv4",
    protocol: "tcp",
    protocolNumber: 6,
    state: "ESTABLISHED",
    orig: { src: "10.0.0.1", dst: "10.0.0.2", sport: 1000, dport: 21 },
    reply: { src: "10.0.0.2", dst: "10.0.0.1", sport: 21, dport: 1000 },
    status: ["SEEN_REPLY", "ASSURED", "CONFIRMED", "HW_OFFLOAD"],
    timeoutSeconds: 432000,
    mark: 0xdeadbeef,
    zone: 7,
    helper: "ftp",
    labels: [0, 31, 100],
    master: { protocol: "tcp", protocolNumber: 6, src: "10.0.0.3", dst: "10.0.0.4", sport: 5, dport: 6 },
    tcpWindowScale: { orig: 7, reply: 8 },
    seqadj: {
      orig: { position: 0xffffffff, offsetBefore: 6, offsetAfter: -12 },
      reply: { position: 0, offsetBefore: 0, offsetAfter: 0 },
    },
    synproxy: { its: 1, isn: 2, tsoff: 3 },
    activeSinceSeconds: 3,
  });
});

test("what is not known is not said, but for a mark, which is then 0", () => {
  expect(objectOf(flowOf(protoWord(6, 50, 0, 0), 0))).toEqual({
    family: "ipv6",
    protocol: "unknown",
    protocolNumber: 50,
    orig: { src: "a00:1::", dst: "a00:2::" },
    reply: { src: "a00:2::", dst: "a00:1::" },
    mark: 0,
    activeSinceSeconds: 3,
  });
});

test("protocols name what they tell flows apart by", () => {
  expect(objectOf(flowOf(protoWord(4, 1, 0, 0), icmpWord(77, 8, 1)))).toMatchObject({
    orig: { type: 8, code: 1, id: 77 },
    reply: { type: 0, code: 1, id: 77 },
  });
  expect(objectOf(flowOf(protoWord(4, 47, 0, 0), portsWord(1, 2)))).toMatchObject({
    orig: { srckey: 1, dstkey: 2 },
    reply: { srckey: 2, dstkey: 1 },
  });
  const sctp = flowOf(protoWord(4, 132, 9, ZONE_ORIG_ONLY), portsWord(1, 2));
  sctp.words[HAS] = HAS_VTAGS;
  sctp.words[VTAG_ORIG] = 0xfffffffe;
  sctp.words[VTAG_REPLY] = 5;
  expect(objectOf(sctp)).toMatchObject({ zoneOrig: 9, sctpVerificationTag: { orig: 0xfffffffe, reply: 5 } });
});

test("a master whose ports are unknown has none", () => {
  const flow = flowOf(protoWord(4, 17, 0, 0), portsWord(1, 2));
  flow.words[HAS] = HAS_MASTER;
  flow.words[MASTER_PROTO] = protoWord(4, 17, 0, 0);
  expect(objectOf(flow)).toMatchObject({ master: { protocol: "udp", src: "0.0.0.0", dst: "0.0.0.0" } });
  expect(flowJson(flow, 0)).not.toContain('"sport":0');
});

test("the object is one line", () => {
  expect(flowJson(flowOf(protoWord(4, 6, 0, 0), portsWord(1, 2)), 0)).not.toContain("\n");
});
