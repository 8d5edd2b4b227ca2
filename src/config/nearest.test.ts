import { expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

const KEYS = ["interface", "local", "peer", "port", "flows_max", "buffer_bytes", "buffer_max_bytes"];

test.each([
  ["interfac", "interface"],
  ["intreface", "interface"],
  ["Interface", "interface"],
  ["flows-max", "flows_max"],
  ["prot", "port"],
  ["peeer", "peer"],
  ["buffer_byte", "buffer_bytes"],
  ["buffer_max_byte", "buffer_max_bytes"],
])("%s is taken for %s", (typo, key) => {
  expect(nearest(typo, KEYS)).toBe(key);
});

test.each(["", "x", "colour", "mtu", "interfering_devices"])("%p is like no known key", (word) => {
  expect(nearest(word, KEYS)).toBeUndefined();
});

test("of two equally near words the first is proposed", () => {
  expect(nearest("pert", ["port", "peer"])).toBe("port");
});
