import { expect, test } from "bun:test";
import { isLinkLocal, parseAddress, parseCidr, unfitForLink } from "./address.ts";

function address(text: string) {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

test("an IPv4 address fills the first word", () => {
  expect(address("10.0.9.1")).toEqual({ family: 4, words: [0x0a000901, 0, 0, 0], text: "10.0.9.1" });
  expect(address("255.255.255.254").words).toEqual([0xfffffffe, 0, 0, 0]);
});

test("an IPv6 address fills four words and is written in its short form", () => {
  expect(address("2001:DB8:0:0:0:ffff:0:1")).toEqual({
    family: 6,
    words: [0x20010db8, 0, 0xffff, 1],
    text: "2001:db8::ffff:0:1",
  });
  expect(address("fe80::1%eth2")).toEqual({ family: 6, words: [0xfe800000, 0, 0, 1], text: "fe80::1", zone: "eth2" });
});

test.each([
  "",
  "10.1",
  "010.0.9.1",
  "0x0a.0.0.1",
  "167774465",
  "10.0.9.256",
  " 10.0.9.1",
  "::g",
  "1:2:3",
  "::ffff:10.0.9.1",
])("%p is no address", (text) => {
  expect(parseAddress(text).ok).toBeFalse();
});

test.each([
  ["192.0.2.10", [0xc000020a, 0, 0, 0], 32],
  ["192.0.2.0/24", [0xc0000200, 0, 0, 0], 24],
  ["0.0.0.0/0", [0, 0, 0, 0], 0],
  ["255.255.255.255/32", [0xffffffff, 0, 0, 0], 32],
  ["2001:db8::/33", [0x20010db8, 0, 0, 0], 33],
  ["::/0", [0, 0, 0, 0], 0],
  ["2001:db8::1", [0x20010db8, 0, 0, 1], 128],
])("network %s", (text, words, prefixBits) => {
  expect(parseCidr(text)).toEqual({
    ok: true,
    value: { family: text.includes(":") ? 6 : 4, words: words as [number, number, number, number], prefixBits, text },
  });
});

test.each([
  ["192.0.2.0/33", "0 to 32"],
  ["2001:db8::/129", "0 to 128"],
  ["192.0.2.0/", "0 to 32"],
  ["192.0.2.0/-1", "0 to 32"],
  ["192.0.2.10/24", '"192.0.2.0/24" for the network, "192.0.2.10" for the address'],
  ["2001:db8:0:8000::1/48", '"2001:db8::/48" for the network'],
  ["example.org/8", "no IPv4 or IPv6 address"],
  ["fe80::1%eth0/128", "zone"],
])("%s is refused: %s", (text, reason) => {
  const parsed = parseCidr(text);
  expect(parsed.ok ? "" : parsed.error).toContain(reason);
});

test.each(["0.0.0.0", "::", "224.0.0.18", "255.255.255.255", "ff02::12", "fe80::1"])(
  "%s is no end of a link",
  (text) => {
    expect(unfitForLink(address(text))).toBeString();
  },
);

test.each(["10.0.9.1", "127.0.0.1", "2001:db8::1", "fd00::1", "fe80::1%eth2"])("%s can be an end of a link", (text) => {
  expect(unfitForLink(address(text))).toBeUndefined();
});

test("link-local is fe80::/10", () => {
  expect(["fe80::1", "febf::1", "fec0::1", "fe00::1", "254.128.0.1"].map((text) => isLinkLocal(address(text)))).toEqual(
    [true, true, false, false, false],
  );
});
