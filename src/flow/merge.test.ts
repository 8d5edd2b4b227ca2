import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  FLOW_WORDS,
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_HELPER,
  HAS_LABELS,
  HAS_LIBERAL,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_PORTS,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  HELPER,
  INFO,
  IPPROTO_DCCP,
  IPPROTO_TCP,
  KEY_WORDS,
  LABELS,
  MARK,
  MASTER_PORTS,
  MASTER_PROTO,
  PROTO,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  TIMEOUT,
  VTAG_ORIG,
} from "./flow.ts";
import { overlay } from "./merge.ts";

const WHOLE = 0xffffffff;

/** What the attribute of a HAS bit is: the first word, one past the last, and which bits of them. */
interface Carried {
  readonly name: string;
  readonly bit: number;
  readonly from: number;
  readonly end: number;
  readonly mask: number;
}

const carried = (name: string, bit: number, from: number, end: number, mask = WHOLE): Carried => ({
  name,
  bit,
  from,
  end,
  mask,
});

const CARRIED: readonly Carried[] = [
  carried("HAS_STATUS", HAS_STATUS, STATUS, TIMEOUT),
  carried("HAS_TIMEOUT", HAS_TIMEOUT, TIMEOUT, MARK),
  carried("HAS_MARK", HAS_MARK, MARK, INFO),
  carried("HAS_STATE", HAS_STATE, INFO, INFO + 1, 0xff),
  carried("HAS_WSCALE", HAS_WSCALE, INFO, INFO + 1, 0xffff00),
  carried("HAS_VTAGS", HAS_VTAGS, VTAG_ORIG, LABELS),
  carried("HAS_SNAT_ADDR", HAS_SNAT_ADDR, REPLY_DST, REPLY_PORTS),
  carried("HAS_DNAT_ADDR", HAS_DNAT_ADDR, REPLY_SRC, REPLY_DST),
  carried("HAS_SNAT_PORT", HAS_SNAT_PORT, REPLY_PORTS, HAS, 0xffff),
  carried("HAS_DNAT_PORT", HAS_DNAT_PORT, REPLY_PORTS, HAS, 0xffff0000),
  carried("HAS_LABELS", HAS_LABELS, LABELS, HELPER),
  carried("HAS_HELPER", HAS_HELPER, HELPER, MASTER_PROTO),
  carried("HAS_MASTER", HAS_MASTER, MASTER_PROTO, MASTER_PORTS),
  // Never without the master.
  carried("HAS_MASTER and HAS_MASTER_PORTS", HAS_MASTER | HAS_MASTER_PORTS, MASTER_PROTO, SEQADJ),
  carried("HAS_SEQADJ", HAS_SEQADJ, SEQADJ, SYNPROXY),
  carried("HAS_SYNPROXY", HAS_SYNPROXY, SYNPROXY, SYNPROXY + 3),
  carried("HAS_REPLY", HAS_REPLY, REPLY_SRC, HAS),
  carried("HAS_PORTS", HAS_PORTS, 0, 0, 0), // Says that the key has ports; carries nothing.
  carried("HAS_LIBERAL", HAS_LIBERAL, 0, 0, 0), // Is all there is to say.
];

const flowWords = (l4proto: number): fc.Arbitrary<Uint32Array<ArrayBuffer>> =>
  fc.array(fc.integer({ min: 0, max: WHOLE }), { minLength: FLOW_WORDS, maxLength: FLOW_WORDS }).map((values) => {
    const words = Uint32Array.from(values);
    words[PROTO] = protoWord(4, l4proto, 0, 0);
    return words;
  });

/** The target as it must be after an update that has `bit` alone. */
function expected(
  target: Uint32Array,
  update: Uint32Array,
  { bit, from, end, mask }: Carried,
): Uint32Array<ArrayBuffer> {
  const words = target.slice();
  for (let i = from; i < end; i++) words[i] = (target[i] & ~mask) | (update[i] & mask);
  words[HAS] = target[HAS] | bit;
  return words;
}

describe("an update that carries one attribute changes that and nothing else", () => {
  test.each([...CARRIED])("$name", (row) => {
    fc.assert(
      fc.property(flowWords(IPPROTO_TCP), flowWords(IPPROTO_TCP), (target, update) => {
        update[HAS] = row.bit;
        const after = target.slice();
        overlay(after, update);
        expect(after).toEqual(expected(target, update, row));
      }),
    );
  });

  test("HAS_STATE of DCCP brings the role with it", () => {
    fc.assert(
      fc.property(flowWords(IPPROTO_DCCP), flowWords(IPPROTO_DCCP), (target, update) => {
        update[HAS] = HAS_STATE;
        const after = target.slice();
        overlay(after, update);
        expect(after).toEqual(expected(target, update, carried("HAS_STATE", HAS_STATE, INFO, INFO + 1, 0xffff)));
      }),
    );
  });
});

test("no HAS bit of the record is missing from the table above", () => {
  const all = CARRIED.reduce((bits, { bit }) => bits | bit, 0);
  expect(all).toBe(HAS_LIBERAL * 2 - 1);
});

test("an update that carries nothing changes nothing", () => {
  fc.assert(
    fc.property(flowWords(IPPROTO_TCP), flowWords(IPPROTO_TCP), (target, update) => {
      update[HAS] = 0;
      const after = target.slice();
      overlay(after, update);
      expect(after).toEqual(target);
    }),
  );
});

test("whatever an update carries, the key stays, what was known stays known, and saying it twice changes no more", () => {
  fc.assert(
    fc.property(flowWords(IPPROTO_TCP), flowWords(IPPROTO_TCP), (target, update) => {
      const once = target.slice();
      overlay(once, update);
      expect(once.slice(0, KEY_WORDS)).toEqual(target.slice(0, KEY_WORDS));
      expect(once[HAS]).toBe((target[HAS] | update[HAS]) >>> 0);
      const twice = once.slice();
      overlay(twice, update);
      expect(twice).toEqual(once);
    }),
  );
});

test("attributes that come one at a time make what they make together", () => {
  const separate = CARRIED.filter(({ bit }) => bit !== HAS_REPLY); // It covers what the NAT bits cover.
  const all = separate.reduce((bits, { bit }) => bits | bit, 0);
  fc.assert(
    fc.property(
      flowWords(IPPROTO_TCP),
      flowWords(IPPROTO_TCP),
      fc.shuffledSubarray([...separate], { minLength: separate.length }),
      (target, update, order) => {
        const together = target.slice();
        update[HAS] = all;
        overlay(together, update);
        const oneByOne = target.slice();
        for (const { bit } of order) {
          update[HAS] = bit;
          overlay(oneByOne, update);
        }
        expect(oneByOne).toEqual(together);
      },
    ),
  );
});
