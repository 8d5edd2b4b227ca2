/**
 * Messages of a real conntrackd 1.4.7, one of each kind that is easy to get wrong, byte for byte: read, and the flows
 * written again. The recordings hold thousands more; these are here to be looked at when one of those fails.
 */
import { describe, expect, test } from "bun:test";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import { Flow, HAS, HAS_WSCALE } from "../../src/flow/flow.ts";
import { deriveReply } from "../../src/flow/reply.ts";
import { decodeFlow } from "../../src/wire/decode.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import { decodeExpectation } from "../../src/wire/expectation.ts";
import { headerSeq, headerType, putHeader } from "../../src/wire/header.ts";
import { type Attributes, receivedExpectation, receivedFlow } from "./attributes.ts";

interface Example {
  readonly name: string;
  readonly hex: string;
  readonly attrs: Attributes;
}

const FLOWS: readonly Example[] = [
  {
    name: "IPv4 TCP connection with source NAT to another port, mark",
    hex:
      "1100004c6b030ec9000c00000a0800030a090005000800050000019e000500020600000000080003a02a005000050004" +
      "0300000000080007000000500008000cc63364010006000e36750000",
    attrs: {
      orig_ipv4: ["10.8.0.3", "10.9.0.5"],
      status: 414,
      l4proto: 6,
      orig_ports: [41002, 80],
      tcp_state: 3,
      mark: 80,
      snat_ipv4: "198.51.100.1",
      snat_port: 30006,
    },
  },
  {
    name: "source and destination NAT with port, connection labels",
    hex:
      "110000686b030eca000c00000a080002cb00710a00080005000001ba000500020600000000080003a02b005000050004" +
      "0200000000080007000000500008000cc63364010008000d0a0900050006000f901f00000014001c0000000800000000" +
      "0000000000000000",
    attrs: {
      orig_ipv4: ["10.8.0.2", "203.0.113.10"],
      status: 442,
      l4proto: 6,
      orig_ports: [41003, 80],
      tcp_state: 2,
      mark: 80,
      snat_ipv4: "198.51.100.1",
      dnat_ipv4: "10.9.0.5",
      dnat_port: 8080,
      labels: { words: 4, bits: [3] },
    },
  },
  {
    name: "IPv6 ICMP echo",
    hex:
      "1100005c6b030ec400240001fd080000000000000000000000000002fd09000000000000000000000000000500080005" +
      "0000000a000500023a000000000500168000000000050017000000000006001834120000000800060000001e",
    attrs: {
      orig_ipv6: ["fd08::2", "fd09::5"],
      status: 10,
      l4proto: 58,
      icmp_type: 128,
      icmp_code: 0,
      icmp_id: 4660,
      timeout: 30,
    },
  },
  {
    name: "IPv4 ICMP echo through source NAT",
    hex:
      "1100005c6b030ed0000c00000a080002cb00710a00080005000001ba0005000201000000000500160800000000050017" +
      "0000000000060018122200000008000cc63364010008000d0a0900050006000e000000000006000f00000000",
    attrs: {
      orig_ipv4: ["10.8.0.2", "203.0.113.10"],
      status: 442,
      l4proto: 1,
      icmp_type: 8,
      icmp_code: 0,
      icmp_id: 8722,
      snat_ipv4: "198.51.100.1",
      dnat_ipv4: "10.9.0.5",
      snat_port: 0,
      dnat_port: 0,
    },
  },
  {
    name: "related connection (FTP data, expected) behind NAT, window tracking on",
    hex:
      "110000786b030ef2000c00000a0800020a090005000800050000019f000500020600000000080003a7fac35100050004" +
      "03000000000500190a0000000005001a0a00000000080006000697800008000700000015000c00080a0800020a090005" +
      "0005000a060000000008000ba7f900150008000cc6336465",
    attrs: {
      orig_ipv4: ["10.8.0.2", "10.9.0.5"],
      status: 415,
      l4proto: 6,
      orig_ports: [43002, 50001],
      tcp_state: 3,
      tcp_wscale_orig: 10,
      tcp_wscale_reply: 10,
      timeout: 432000,
      mark: 21,
      master_ipv4: ["10.8.0.2", "10.9.0.5"],
      master_l4proto: 6,
      master_ports: [43001, 21],
      snat_ipv4: "198.51.100.101",
    },
  },
  {
    name: "SYNPROXY connection: sequence adjustment and SYNPROXY state",
    hex:
      "110000786b031102000c00000a0800020a090005000800050000004e000500020600000000080003abe020fb00050004" +
      "03000000000500190a0000000005001a0a0000000008000600069780001c001000000000000000000000000000000000" +
      "de1245a0de1245a00010001f0029c21a89ccb35eb6dde16c",
    attrs: {
      orig_ipv4: ["10.8.0.2", "10.9.0.5"],
      status: 78,
      l4proto: 6,
      orig_ports: [44000, 8443],
      tcp_state: 3,
      tcp_wscale_orig: 10,
      tcp_wscale_reply: 10,
      timeout: 432000,
      natseqadj: [0, 0, 0, 0, -569227872, -569227872],
      synproxy: [2736666, 2311893854, 3067994476],
    },
  },
  {
    name: "connection in zone 7",
    hex:
      "1100003c6b031108000c00000a0800020a090005000800050000000a0005000211000000000800031b591b5800080006" +
      "000000b40006002000070000",
    attrs: {
      orig_ipv4: ["10.8.0.2", "10.9.0.5"],
      status: 10,
      l4proto: 17,
      orig_ports: [7001, 7000],
      timeout: 180,
      zone: 7,
    },
  },
  {
    name: "SCTP",
    hex:
      "1100004c6b030ed8000c00000a0800020a090005000800050000019e0005000284000000000800031771177000050011" +
      "04000000000800122222222200080013111111110008000cc6336401",
    attrs: {
      orig_ipv4: ["10.8.0.2", "10.9.0.5"],
      status: 414,
      l4proto: 132,
      orig_ports: [6001, 6000],
      sctp_state: 4,
      sctp_vtag_orig: 572662306,
      sctp_vtag_reply: 286331153,
      snat_ipv4: "198.51.100.1",
    },
  },
  {
    name: "IPv6 NAT with port",
    hex:
      "110000746b030ed300240001fd080000000000000000000000000002fd09000000000000000000000000000500080005" +
      "0000019a00050002110000000008000313f200350014001d20010db80008000000000000000000010006000e51790000" +
      "0014001c00000000000000000000000000000010",
    attrs: {
      orig_ipv6: ["fd08::2", "fd09::5"],
      status: 410,
      l4proto: 17,
      orig_ports: [5106, 53],
      snat_ipv6: "2001:db8:8::1",
      snat_port: 31057,
      labels: { words: 4, bits: [100] },
    },
  },
];

const EXPECTATION: Example = {
  name: "expectation (FTP active mode, NATed client)",
  hex:
    "130000b86b030ef5000c00000a0800020a090005000500020600000000080003a7fb0015000c00040a090005c6336465" +
    "0005000606000000000800070000c822000c0008ffffffffffffffff0005000a060000000008000b0000ffff0008000c" +
    "0000012c0008000d000000000008000e00000000000c000f0000000000000000000500110600000000080010c8220000" +
    "00080012000000010008001366747000001600146e61742d666f6c6c6f772d6d6173746572000000",
  attrs: {
    master_ipv4: ["10.8.0.2", "10.9.0.5"],
    master_l4proto: 6,
    master_ports: [43003, 21],
    expect_ipv4: ["10.9.0.5", "198.51.100.101"],
    expect_l4proto: 6,
    expect_ports: [0, 51234],
    mask_ipv4: ["255.255.255.255", "255.255.255.255"],
    mask_l4proto: 6,
    mask_ports: [0, 65535],
    timeout: 300,
    flags: 0,
    class: 0,
    nat_ipv4: ["0.0.0.0", "0.0.0.0"],
    nat_l4proto: 6,
    nat_ports: [51234, 0],
    nat_dir: 1,
    helper: "ftp",
    expectfn: "nat-follow-master",
  },
};

describe.each(FLOWS)("$name", ({ hex, attrs }: Example) => {
  const view = new DataView(Uint8Array.fromHex(hex).buffer);

  test("is read", () => {
    const flow = new Flow();
    expect(decodeFlow(view, 0, view.byteLength, flow)).toBe("ok");
    expect(flow.words).toEqual(receivedFlow(attrs).words);
  });

  test("is written", () => {
    const flow = receivedFlow(attrs);
    deriveReply(flow.words);
    const bytes = new Uint8Array(MESSAGE_MAX_BYTES).fill(0xff);
    const out = new DataView(bytes.buffer);
    const lengthBytes = encodeFlow(flow, out, 0, (flow.words[HAS] & HAS_WSCALE) !== 0);
    putHeader(out, 0, headerType(view, 0), 0, lengthBytes, headerSeq(view, 0));
    expect(bytes.subarray(0, lengthBytes).toHex()).toBe(hex);
  });
});

test(`${EXPECTATION.name} is read`, () => {
  const view = new DataView(Uint8Array.fromHex(EXPECTATION.hex).buffer);
  const expectation = decodeExpectation(view, 0, view.byteLength);
  expect(expectation).toEqual(receivedExpectation(EXPECTATION.attrs));
  if (typeof expectation === "string") throw new Error(expectation);
  expect(expectationLine(expectation, 6)).toBe(
    "proto=6 src=10.9.0.5 dst=198.51.100.101 sport=0 dport=51234 mask-src=255.255.255.255 mask-dst=255.255.255.255 " +
      "sport=0 dport=65535 master-src=10.8.0.2 master-dst=10.9.0.5 sport=43003 dport=21 class=0 helper=ftp [active since 6s]",
  );
});
