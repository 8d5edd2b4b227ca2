import { describe, expect, test } from "bun:test";
import * as f from "../flow/flow.ts";
import { AddressFilter, type Network } from "./address-filter.ts";

const INSIDE = [0xc0a80a0a]; // 192.168.10.10
const OUTSIDE = [0xcb007132]; // 203.0.113.50
const VIRTUAL = [0xcb007101]; // 203.0.113.1
const INSIDE6 = [0xfd000010, 0, 0, 0x10]; // fd00:10::10
const OUTSIDE6 = [0x20010db8, 0xb0000, 0, 0x50]; // 2001:db8:b::50

const whole = (words: readonly number[]): Network => ({
  family: words.length === 1 ? 4 : 6,
  words,
  prefixBits: words.length * 32,
});

/** A flow by its original source and destination, and where it is translated, its reply source and destination. */
function flow(source: number[], destination: number[], replySource = destination, replyDestination = source): f.Flow {
  const made = new f.Flow();
  made.words[f.PROTO] = f.protoWord(source.length === 1 ? 4 : 6, f.IPPROTO_UDP, 0, f.ZONE_BOTH);
  made.words.set(source, f.ORIG_SRC);
  made.words.set(destination, f.ORIG_DST);
  made.words.set(replySource, f.REPLY_SRC);
  made.words.set(replyDestination, f.REPLY_DST);
  return made;
}

function ignored(made: f.Flow, own: readonly Network[] = [], configured: readonly Network[] = []): boolean {
  const filter = new AddressFilter(configured);
  filter.setOwn(own);
  return filter.ignores(made.words);
}

test("what is forwarded is synchronised, also when it is translated to or from the firewall's own address", () => {
  const own = [whole(VIRTUAL)];
  expect(ignored(flow(INSIDE, OUTSIDE), own)).toBe(false);
  expect(ignored(flow(INSIDE, OUTSIDE, OUTSIDE, VIRTUAL), own)).toBe(false); // SNAT
  expect(ignored(flow(OUTSIDE, VIRTUAL, INSIDE), own)).toBe(false); // DNAT
  expect(ignored(flow(INSIDE6, OUTSIDE6), own)).toBe(false);
});

test("a flow that begins or ends at the firewall itself is ignored, as long as the address is its own", () => {
  expect(ignored(flow(INSIDE, VIRTUAL), [whole(VIRTUAL)])).toBe(true);
  expect(ignored(flow(VIRTUAL, OUTSIDE), [whole(VIRTUAL)])).toBe(true);
  expect(ignored(flow(INSIDE6, OUTSIDE6), [whole(OUTSIDE6)])).toBe(true);
  expect(ignored(flow(INSIDE, VIRTUAL), [])).toBe(false);
});

test("an address is known to be ignored by whatever makes it so", () => {
  const filter = new AddressFilter([{ family: 4, words: [0xc0a80a00], prefixBits: 24 }]); // 192.168.10.0/24
  expect([INSIDE, VIRTUAL, OUTSIDE6, [0x7f000001]].map((words) => filter.has(whole(words)))).toEqual([
    ...[true, false],
    ...[false, true],
  ]);
  filter.setOwn([whole(VIRTUAL), whole(OUTSIDE6)]);
  expect([VIRTUAL, OUTSIDE6, INSIDE6].map((words) => filter.has(whole(words)))).toEqual([true, true, false]);
});

test("configured networks cover the addresses under their prefix and no others", () => {
  const network = { family: 4, words: [0xc0a80a00], prefixBits: 28 } as const; // 192.168.10.0/28
  expect(ignored(flow(INSIDE, OUTSIDE), [], [network])).toBe(true);
  expect(ignored(flow([0xc0a80a10], OUTSIDE), [], [network])).toBe(false);
  const network6 = { family: 6, words: [0xfd000010, 0, 0, 0], prefixBits: 64 } as const; // fd00:10::/64
  expect(ignored(flow(OUTSIDE6, INSIDE6), [], [network6])).toBe(true);
  expect(ignored(flow([0xfd000010, 1, 0, 0x10], OUTSIDE6), [], [network6])).toBe(false);
});

describe("what no router forwards is ignored without a word of configuration", () => {
  test.each([
    ["loopback", flow([0x7f000001], [0x7f000002])],
    ["loopback, IPv6", flow([0, 0, 0, 1], [0, 0, 0, 1])],
    ["the other firewall's VRRP advertisements to 224.0.0.18", flow([0xc0a80a02], [0xe0000012])],
    ["OSPFv3 to ff02::5", flow([0xfe800000, 0, 0, 2], [0xff020000, 0, 0, 5])],
  ])("%s", (_, made) => expect(ignored(made)).toBe(true));

  test.each([
    ["239.1.2.3", flow(INSIDE, [0xef010203])],
    ["224.0.1.1", flow(INSIDE, [0xe0000101])],
    ["ff05::2", flow(INSIDE6, [0xff050000, 0, 0, 2])],
  ])("but not multicast that routers forward: %s", (_, made) => expect(ignored(made)).toBe(false));
});
