import { describe, expect, test } from "bun:test";
import { HOST6, makeFlow } from "../../test/make-flow.ts";
import { KEY_WORDS, ORIG_DST, ORIG_PORTS, ORIG_SRC, PROTO } from "../flow/flow.ts";
import { FlowHash } from "./hash.ts";

const hash = new FlowHash(0x01234567, 0x89abcdef);
const IPV4_KEY = [PROTO, ORIG_SRC, ORIG_DST, ORIG_PORTS];
const IPV6_KEY = Array.from({ length: KEY_WORDS }, (_, i) => i);

const bitsSet = (word: number): number => word.toString(2).replaceAll("0", "").length;

describe.each([
  ["IPv4", makeFlow(), IPV4_KEY],
  ["IPv6", makeFlow({ source: HOST6 }), IPV6_KEY],
] as const)("of an %s flow", (family, flow, key) => {
  test("every bit of every key word turns about half of the hash", () => {
    const before = hash.of(flow.words);
    let turned = 0;
    let flips = 0;
    for (const word of key) {
      for (let bit = 0; bit < 32; bit++) {
        if (word === PROTO && bit >= 24 && bit < 28) continue; // The family: another set of words counts then.
        flow.words[word] ^= 1 << bit;
        const after = hash.of(flow.words);
        flow.words[word] ^= 1 << bit;
        expect(after).not.toBe(before);
        turned += bitsSet((before ^ after) >>> 0);
        flips++;
      }
    }
    expect(turned / flips).toBeWithin(14, 18);
  });

  test("nothing behind the key counts", () => {
    const before = hash.of(flow.words);
    const other = flow.words.slice();
    other.fill(0xffffffff, KEY_WORDS);
    expect(hash.of(other)).toBe(before);
  });

  test("neighbouring tuples spread evenly over the buckets, and another key puts them elsewhere", () => {
    const BUCKETS = 256;
    const PER_BUCKET = 64;
    const other = new FlowHash(0x01234567, 0x89abcdee);
    const counts = new Uint32Array(BUCKETS);
    const words = flow.words.slice();
    let same = 0;
    for (let i = 0; i < BUCKETS * PER_BUCKET; i++) {
      words[ORIG_PORTS] = flow.words[ORIG_PORTS] + (i << 16);
      words[ORIG_SRC + (family === "IPv6" ? 3 : 0)] = flow.words[ORIG_SRC] + (i >> 8);
      const bucket = hash.of(words) % BUCKETS;
      counts[bucket]++;
      if (bucket === other.of(words) % BUCKETS) same++;
    }
    // Chi-square with 255 degrees of freedom: its mean is 255, beyond 360 it comes by chance once in 40,000 keys.
    const chiSquare = counts.reduce((sum, count) => sum + (count - PER_BUCKET) ** 2 / PER_BUCKET, 0);
    expect(chiSquare).toBeLessThan(360);
    expect(same).toBeLessThan(3 * PER_BUCKET); // By chance alone: 64.
  });
});

test("the same key gives the same hash, an unsigned 32-bit number", () => {
  const { words } = makeFlow();
  const value = hash.of(words);
  expect(new FlowHash(0x01234567, 0x89abcdef).of(words)).toBe(value);
  expect(Number.isInteger(value) && value >= 0 && value < 2 ** 32).toBe(true);
});

test("each half of the key counts", () => {
  const { words } = makeFlow();
  const hashes = [hash, new FlowHash(0x01234566, 0x89abcdef), new FlowHash(0x01234567, 0x89abcdee)].map((keyed) =>
    keyed.of(words),
  );
  expect(new Set(hashes).size).toBe(3);
});
