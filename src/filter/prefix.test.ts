/** Prefixes of every length, held against a model that compares addresses bit by bit. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Flow, IPPROTO_TCP, ORIG_DST, ORIG_SRC, PROTO, protoWord, REPLY_DST, REPLY_SRC } from "../flow/flow.ts";
import { AddressFilter, type Network } from "./address-filter.ts";

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const FAMILIES = [
  ["IPv4", 4, 32],
  ["IPv6", 6, 128],
] as const;

/** The address as a string of 0 and 1. */
const bits = (words: ArrayLike<number>, length: number): string =>
  Array.from({ length: length / 32 }, (_, i) => words[i].toString(2).padStart(32, "0")).join("");

const within = (address: ArrayLike<number>, { words, prefixBits, family }: Network): boolean => {
  const length = family === 4 ? 32 : 128;
  return bits(address, length).slice(0, prefixBits) === bits(words, length).slice(0, prefixBits);
};

/** Neither loopback nor link-local multicast, which are ignored anyway. */
const ordinary = (family: 4 | 6): number[] => (family === 4 ? [0x08080808] : [0x2a000000, 0, 0, 1]);

function flowBetween(
  family: 4 | 6,
  ends: Partial<Record<"source" | "destination" | "replySource" | "replyDestination", readonly number[]>>,
): Flow {
  const flow = new Flow();
  flow.words[PROTO] = protoWord(family, IPPROTO_TCP, 0, 0);
  flow.words.set(ends.source ?? ordinary(family), ORIG_SRC);
  flow.words.set(ends.destination ?? ordinary(family), ORIG_DST);
  flow.words.set(ends.replySource ?? ordinary(family), REPLY_SRC);
  flow.words.set(ends.replyDestination ?? ordinary(family), REPLY_DST);
  return flow;
}

/** The address with one bit turned over. */
function turned(words: readonly number[], bit: number): number[] {
  return words.map((word, i) => (i === bit >> 5 ? (word ^ (1 << (31 - (bit & 31)))) >>> 0 : word));
}

describe.each([...FAMILIES])("%s", (_, family, addressBits) => {
  const address = fc.array(uint32, { minLength: addressBits / 32, maxLength: addressBits / 32 });

  test("a network of any length covers what shares its prefix, and its last bit counts", () => {
    for (let prefixBits = 0; prefixBits <= addressBits; prefixBits++) {
      const words = family === 4 ? [0xb4a55a69] : [0x2a01b4a5, 0x5a69c33c, 0x96f00f69, 0xa55ab4c3];
      const filter = new AddressFilter([{ family, words, prefixBits }]);
      const ignores = (source: readonly number[]): boolean =>
        filter.ignores(flowBetween(family, { source, replySource: words.map((word) => ~word >>> 0) }).words);
      if (prefixBits === 0) {
        expect(ignores(words)).toBe(true);
        continue;
      }
      expect([prefixBits, ignores(words)]).toEqual([prefixBits, true]);
      expect([prefixBits, ignores(turned(words, prefixBits - 1))]).toEqual([prefixBits, false]);
      expect([prefixBits, ignores(turned(words, 0))]).toEqual([prefixBits, false]);
      if (prefixBits < addressBits)
        expect([prefixBits, ignores(turned(words, prefixBits))]).toEqual([prefixBits, true]);
    }
  });

  test("of several networks, ours and configured, one that covers an end is enough", () => {
    const network = fc.record({ words: address, prefixBits: fc.integer({ min: 1, max: addressBits }) });
    fc.assert(
      fc.property(
        fc.array(network),
        fc.array(network),
        address,
        address,
        fc.nat(),
        (configured, own, source, replySource, near) => {
          const complete = (list: typeof own): Network[] => list.map((entry) => ({ ...entry, family }));
          const networks = [...complete(configured), ...complete(own)];
          // Half of the time one end lies in one of the networks, or one bit beside it.
          const picked = networks[near % Math.max(networks.length, 1)];
          const end =
            picked !== undefined && near % 2 === 0 ? turned([...Array.from(picked.words)], near % addressBits) : source;
          const filter = new AddressFilter(complete(configured));
          filter.setOwn(complete(own));
          const empty = new AddressFilter([]);
          const { words } = flowBetween(family, { source: end, replySource });
          const expected =
            empty.ignores(words) || networks.some((entry) => within(end, entry) || within(replySource, entry));
          expect(filter.ignores(words)).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("destinations alone do not count: where a flow was translated is no end of it", () => {
    const own = family === 4 ? [0xcb007101] : [0x20010db8, 0, 0, 1];
    const filter = new AddressFilter([]);
    filter.setOwn([{ family, words: own, prefixBits: addressBits }]);
    expect(filter.ignores(flowBetween(family, { destination: own }).words)).toBe(false); // DNAT from the virtual address
    expect(filter.ignores(flowBetween(family, { replyDestination: own }).words)).toBe(false); // SNAT to it
    expect(filter.ignores(flowBetween(family, { source: own }).words)).toBe(true); // the firewall calls
    expect(filter.ignores(flowBetween(family, { replySource: own }).words)).toBe(true); // it is called
  });

  test("an address of the other family is never meant, not even by a prefix of length 0", () => {
    const other = family === 4 ? 6 : 4;
    const filter = new AddressFilter([{ family: other, words: [0, 0, 0, 0], prefixBits: 0 }]);
    expect(filter.ignores(flowBetween(family, {}).words)).toBe(false);
    expect(filter.ignores(flowBetween(other, {}).words)).toBe(true);
  });
});

test("the machine's addresses are replaced, not added to; the configured ones stay", () => {
  const whole = (word: number): Network => ({ family: 4, words: [word], prefixBits: 32 });
  const filter = new AddressFilter([whole(0x01010101)]);
  const ignored = (word: number): boolean => filter.ignores(flowBetween(4, { source: [word] }).words);
  filter.setOwn([whole(0x02020202)]);
  expect([ignored(0x01010101), ignored(0x02020202), ignored(0x03030303)]).toEqual([true, true, false]);
  filter.setOwn([whole(0x03030303)]);
  expect([ignored(0x01010101), ignored(0x02020202), ignored(0x03030303)]).toEqual([true, false, true]);
});

test("all of 127.0.0.0/8 is loopback, and of IPv6 ::1 alone", () => {
  const filter = new AddressFilter([]);
  const ignored = (family: 4 | 6, source: number[]): boolean => filter.ignores(flowBetween(family, { source }).words);
  expect([0x7effffff, 0x7f000000, 0x7fffffff, 0x80000000].map((word) => ignored(4, [word]))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([0, 1, 2].map((last) => ignored(6, [0, 0, 0, last]))).toEqual([false, true, false]);
  expect(ignored(6, [0, 0, 1, 1])).toBe(false);
});
