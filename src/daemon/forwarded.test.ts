import { expect, test } from "bun:test";
import { ForwardedPackets, ipv4Forwarded, ipv6Forwarded } from "./forwarded.ts";

test("the count is found by its name, whatever columns a kernel has", () => {
  expect(ipv4Forwarded("Ip: Forwarding ForwDatagrams X\nIp: 1 42 7\nIcmp: InMsgs\nIcmp: 1\n")).toBe(42);
  expect(ipv4Forwarded("Ip: Forwarding X\nIp: 1 7\n")).toBe(0);
  expect(ipv4Forwarded("")).toBe(0);
  expect(ipv6Forwarded("Ip6InReceives   \t8\nIp6OutForwDatagrams             \t17\n")).toBe(17);
  expect(ipv6Forwarded("")).toBe(0);
});

test("this kernel tells it", () => {
  const count = new ForwardedPackets().count();
  expect(count).toBeGreaterThanOrEqual(0);
  expect(Number.isInteger(count)).toBe(true);
});
