import { expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { addressText } from "./address.ts";

const parse = (text: string): number[] => {
  const bytes = ipaddr.parse(text).toByteArray();
  const view = new DataView(Uint8Array.from([...bytes, ...Array<number>(16 - bytes.length).fill(0)]).buffer);
  return [0, 4, 8, 12].map((at) => view.getUint32(at));
};

// As inet_ntop(3) of glibc 2.36 printed them.
test.each([
  ["::", "::"],
  ["::1", "::1"],
  ["::5", "::5"],
  ["1::", "1::"],
  ["1:0:0:2:0:0:0:0", "1:0:0:2::"],
  ["0:0:1:0:0:0:0:0", "0:0:1::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["1:2:3:0:5:6:7:8", "1:2:3:0:5:6:7:8"],
  ["fe80:0:0:0:1:0:0:1", "fe80::1:0:0:1"],
  ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
  ["::102:304", "::1.2.3.4"],
  ["::ffff:0:102:304", "::ffff:0:102:304"],
  ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
  ["0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"],
  ["0:0:0:0:0:1:2:3", "::1:2:3"],
  ["ABCD:EF01:0:0:1:0:0:0", "abcd:ef01:0:0:1::"],
])("%s is printed as %s", (address, printed) => {
  expect(addressText(parse(address), 0, 6)).toBe(printed);
});

test("IPv4 addresses are dotted", () => {
  expect(addressText([0, 0xc63364ff], 1, 4)).toBe("198.51.100.255");
  expect(addressText([0xffffffff], 0, 4)).toBe("255.255.255.255");
});

test("what is printed is the address", () => {
  // Mostly zero groups, so that runs of all lengths come up.
  const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      fc.pre(groups.slice(0, 6).some((bits) => bits !== 0)); // ipaddr.js takes ::a.b.c.d for ::ffff:a.b.c.d.
      const words = [0, 2, 4, 6].map((i) => groups[i] * 0x10000 + groups[i + 1]);
      const text = addressText(words, 0, 6);
      expect(parse(text)).toEqual(words);
      expect(text).not.toMatch(/(^|:)0\d|:::|[A-Z]/);
    }),
  );
});
