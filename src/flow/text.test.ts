import { describe, expect, test } from "bun:test";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_STATE,
  HAS_STATUS,
  HAS_TIMEOUT,
  INFO,
  icmpWord,
  LABELS,
  MARK,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  STATUS,
  setHelperName,
  ZONE_BOTH,
  ZONE_ORIG_ONLY,
  ZONE_REPLY_ONLY,
} from "./flow.ts";
import { deriveReply } from "./reply.ts";
import { IPS_ASSURED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY } from "./status.ts";
import { flowLine } from "./text.ts";

function flowOf(l4proto: number, ports: number, zone = 0, direction = ZONE_BOTH): Flow {
  const flow = new Flow();
  flow.words[PROTO] = protoWord(4, l4proto, zone, direction);
  flow.words[ORIG_SRC] = 0x0a000001;
  flow.words[ORIG_DST] = 0x0a000002;
  flow.words[ORIG_PORTS] = ports;
  deriveReply(flow.words);
  return flow;
}

function withStatus(status: number, flow = flowOf(17, portsWord(4660, 80))): Flow {
  flow.words[HAS] |= HAS_STATUS;
  flow.words[STATUS] = status;
  return flow;
}

function withState(l4proto: number, state: number): Flow {
  const flow = flowOf(l4proto, portsWord(1, 2));
  flow.words[HAS] |= HAS_STATE;
  flow.words[INFO] = state;
  return flow;
}

test("a translated TCP flow, as conntrackd prints it", () => {
  const flow = withStatus(IPS_SEEN_REPLY | IPS_ASSURED, withState(6, 3));
  flow.words[ORIG_SRC] = 0x0a010002;
  flow.words[ORIG_DST] = 0x0a020009;
  flow.words[ORIG_PORTS] = portsWord(51356, 22);
  deriveReply(flow.words);
  flow.words[REPLY_DST] = 0xc0000201;
  flow.words[HAS] |= HAS_MARK | HAS_TIMEOUT;
  expect(flowLine(flow, 5)).toBe(
    "tcp      6 ESTABLISHED src=10.1.0.2 dst=10.2.0.9 sport=51356 dport=22 src=10.2.0.9 dst=192.0.2.1 sport=22 " +
      "dport=51356 [ASSURED] mark=0 [active since 5s]",
  );
});

// The tuples as nfct_snprintf(3) of libnetfilter_conntrack 1.0.9 printed them.
test.each([
  [
    6,
    portsWord(4660, 80),
    "tcp      6 src=10.0.0.1 dst=10.0.0.2 sport=4660 dport=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=4660",
  ],
  [
    33,
    portsWord(4660, 80),
    "dccp     33 src=10.0.0.1 dst=10.0.0.2 sport=4660 dport=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=4660",
  ],
  [
    136,
    portsWord(0, 0),
    "udplite  136 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=0 src=10.0.0.2 dst=10.0.0.1 sport=0 dport=0",
  ],
  [
    47,
    portsWord(0x1234, 0x50),
    "gre      47 src=10.0.0.1 dst=10.0.0.2 srckey=0x1234 dstkey=0x50 src=10.0.0.2 dst=10.0.0.1 srckey=0x50 dstkey=0x1234",
  ],
  [
    1,
    icmpWord(77, 8, 3),
    "icmp     1 src=10.0.0.1 dst=10.0.0.2 type=8 code=3 id=77 src=10.0.0.2 dst=10.0.0.1 type=0 code=3 id=77",
  ],
  [
    58,
    icmpWord(77, 128, 0),
    "icmpv6   58 src=10.0.0.1 dst=10.0.0.2 type=128 code=0 id=77 src=10.0.0.2 dst=10.0.0.1 type=129 code=0 id=77",
  ],
  [50, 0, "unknown  50 src=10.0.0.1 dst=10.0.0.2 src=10.0.0.2 dst=10.0.0.1"],
  [255, 0, "unknown  255 src=10.0.0.1 dst=10.0.0.2 src=10.0.0.2 dst=10.0.0.1"],
])("protocol %d", (l4proto, ports, line) => {
  expect(flowLine(flowOf(l4proto, ports), 0)).toBe(`${line} mark=0 [active since 0s]`);
});

test.each([
  [6, 9, "SYN_SENT2"],
  [6, 10, "NONE"],
  [6, 200, "NONE"],
  [132, 9, "HEARTBEAT_ACKED"],
  [132, 20, "NONE"],
  [33, 9, "INVALID"],
])("state %2$d of protocol %1$d is printed by name", (l4proto, state, name) => {
  expect(flowLine(withState(l4proto, state), 0)).toContain(` ${l4proto} ${name} src=`);
});

describe("status", () => {
  const REPLY = "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=4660";
  test.each([
    [0, ` dport=80 [UNREPLIED] ${REPLY} mark=0 [active`],
    [IPS_SEEN_REPLY, ` dport=80 ${REPLY} mark=0 [active`],
    [IPS_SEEN_REPLY | IPS_ASSURED, ` dport=80 ${REPLY} [ASSURED] mark=0 [active`],
    [IPS_ASSURED, ` dport=80 [UNREPLIED] ${REPLY} [ASSURED] mark=0 [active`],
    [IPS_SEEN_REPLY | IPS_ASSURED | IPS_OFFLOAD, ` dport=80 ${REPLY} [OFFLOAD] mark=0 [active`],
    [IPS_SEEN_REPLY | IPS_OFFLOAD | IPS_HW_OFFLOAD, ` dport=80 ${REPLY} [HW_OFFLOAD] mark=0 [active`],
  ])("%p", (status, part) => {
    expect(flowLine(withStatus(status), 0)).toContain(part);
  });

  test("is not guessed when it is unknown", () => {
    expect(flowLine(flowOf(17, portsWord(4660, 80)), 0)).toContain(` dport=80 ${REPLY} mark=0 [active`);
  });
});

test("mark, zone and helper follow in this order; labels are not printed", () => {
  const flow = flowOf(17, portsWord(1, 2), 7);
  flow.words[HAS] |= HAS_MARK | HAS_HELPER | HAS_LABELS;
  flow.words[MARK] = 0xdeadbeef;
  flow.words[LABELS] = 1;
  setHelperName(flow.words, "ftp");
  expect(flowLine(flow, 9)).toEndWith(" mark=3735928559 zone=7 helper=ftp [active since 9s]");
});

test("a zone of one direction stands behind that direction's tuple", () => {
  const orig = withStatus(0, flowOf(17, portsWord(1, 2), 8, ZONE_ORIG_ONLY));
  expect(flowLine(orig, 0)).toContain(" dport=2 zone-orig=8 [UNREPLIED] src=");
  const reply = withStatus(IPS_ASSURED, flowOf(17, portsWord(1, 2), 9, ZONE_REPLY_ONLY));
  expect(flowLine(reply, 0)).toContain(" dport=1 zone-reply=9 [ASSURED]");
});

test("IPv6 lines carry no mark of their family", () => {
  const flow = new Flow();
  flow.words[PROTO] = protoWord(6, 17, 0, ZONE_BOTH);
  flow.words.set([0x20010db8, 0, 0, 1], ORIG_SRC);
  flow.words.set([0x20010db8, 0, 0, 2], ORIG_DST);
  flow.words[ORIG_PORTS] = portsWord(1001, 53);
  deriveReply(flow.words);
  flow.words[REPLY_PORTS] = portsWord(53, 40000);
  expect(flowLine(flow, 1)).toBe(
    "udp      17 src=2001:db8::1 dst=2001:db8::2 sport=1001 dport=53 src=2001:db8::2 dst=2001:db8::1 sport=53 " +
      "dport=40000 mark=0 [active since 1s]",
  );
});
