import { expect, test } from "bun:test";
import { Attribute, ConntrackObject } from "./libnetfilter-conntrack.ts";

const CT_NEW = 0x100;
const AF_INET6 = 10;
const SOURCE = Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const DESTINATION = Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

function ftpFlow(): ConntrackObject {
  const ct = new ConntrackObject();
  ct.setU8(Attribute.ORIG_L3PROTO, AF_INET6);
  ct.setAddress6(Attribute.ORIG_IPV6_SRC, SOURCE);
  ct.setAddress6(Attribute.ORIG_IPV6_DST, DESTINATION);
  ct.setU8(Attribute.ORIG_L4PROTO, 6);
  ct.setU16(Attribute.ORIG_PORT_SRC, 0x0104); // 1025, big-endian in memory
  ct.setU16(Attribute.ORIG_PORT_DST, 0x1500); // 21
  ct.setU32(Attribute.MARK, 7);
  ct.setHelper("ftp");
  return ct;
}

test("an object built into a message and parsed again is the same flow", () => {
  const ct = ftpFlow();
  const message = ct.build(CT_NEW, 0, 1, AF_INET6).slice();
  const parsed = new ConntrackObject();
  expect(parsed.parse(message)).toBe(true);
  expect(parsed.address6(Attribute.ORIG_IPV6_SRC)).toEqual(SOURCE);
  expect(parsed.address6(Attribute.ORIG_IPV6_DST)).toEqual(DESTINATION);
  expect(parsed.u32(Attribute.MARK)).toBe(7);
  expect(parsed.helper()).toBe("ftp");
  expect(parsed.has(Attribute.TIMEOUT)).toBe(false);
  expect(parsed.address6(Attribute.REPL_IPV6_SRC)).toBeUndefined();
  expect(parsed.text()).toContain("src=2001:db8::1 dst=2001:db8::2 sport=1025 dport=21");
  ct.destroy();
  parsed.destroy();
});

test("a message whose length is not its own is refused before the library sees it", () => {
  const ct = ftpFlow();
  const message = ct.build(CT_NEW, 0, 1, AF_INET6).slice();
  const parsed = new ConntrackObject();
  expect(parsed.parse(message.subarray(0, message.length - 4))).toBe(false);
  expect(parsed.parse(message.subarray(0, 8))).toBe(false);
  expect(parsed.parse(new Uint8Array(5000))).toBe(false);
  ct.destroy();
  parsed.destroy();
});

test("use after the end, and values that would not fit, throw instead of ending the process", () => {
  const ct = ftpFlow();
  expect(() => ct.setHelper("a-name-far-too-long")).toThrow();
  expect(() => ct.setAddress6(Attribute.ORIG_IPV6_SRC, new Uint8Array(4))).toThrow();
  ct.destroy();
  ct.destroy();
  expect(() => ct.u32(Attribute.MARK)).toThrow();
});
