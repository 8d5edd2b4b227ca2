/** Our decoder against the library's, over real events and a real dump of every kind of flow; and against damaged ones. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { ConntrackSocket } from "../../ffi/libnetfilter-conntrack.ts";
import * as f from "../../src/flow/flow.ts";
import { icmpReplyType } from "../../src/flow/reply.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { DECODED, decodeConntrack, REFUSED_FAMILY, REFUSED_LENGTH, REFUSED_TUPLE } from "../../src/kernel/ctnetlink.ts";
import { CTNETLINK_HEADER_BYTES } from "../../src/kernel/ctnetlink-attributes.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import { parseByLibrary } from "./kernel-library.ts";
import { opened, rawMessages, rawTable, unwrap } from "./kernel-table.ts";
import { EVERY_KIND, flowOf, RULES, sendPackets } from "./kernel-traffic.ts";

const EVERY_GROUP = 7;
const messages: Uint8Array[] = [];
let lab: Lab;

beforeAll(async () => {
  lab = await Lab.create();
  const namespace = await lab.namespace("decode");
  await namespace.nft(RULES);
  const events = inside(namespace, () => opened(ConntrackSocket.open(EVERY_GROUP)));
  sendPackets(namespace);
  await namespace.exec(["ping", "-c1", "-W1", "127.0.0.1"]);
  await namespace.exec(["ping", "-c1", "-W1", "::1"]);
  const commit = inside(namespace, () => unwrap(KernelCommit.open()));
  for (const [, wanted] of EVERY_KIND) {
    commit.add(flowOf(wanted), 0, 300);
    expect(commit.flush()).toBe(0);
  }
  messages.push(...rawMessages(events.fd), ...rawTable(namespace));
  const deletion = inside(namespace, () => unwrap(KernelDelete.open()));
  for (const [, wanted] of EVERY_KIND) deletion.add(flowOf(wanted), 0);
  expect(deletion.flush()).toBe(0);
  messages.push(...rawMessages(events.fd));
  for (const socket of [events, commit, deletion]) socket.close();
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

/** In memory of just its length: a read past its end throws. */
function decode(message: Uint8Array, words: Uint32Array): number {
  const exact = message.slice();
  return decodeConntrack(new DataView(exact.buffer), 0, exact.length, words);
}

test("the recording has every protocol and property", () => {
  const protocols = new Set<string>();
  let has = 0;
  const zones = new Set<number>();
  for (const message of messages) {
    const flow = new f.Flow();
    expect(decode(message, flow.words)).toBe(DECODED);
    protocols.add(`${flow.family}/${flow.l4proto}`);
    zones.add(flow.zoneDirection);
    has |= flow.words[f.HAS];
  }
  const wanted = "4/1 4/132 4/136 4/17 4/47 4/50 4/6 6/17 6/50 6/58 6/6";
  expect([...protocols].sort().join(" ")).toBe(wanted);
  expect([...zones].sort()).toEqual([f.ZONE_BOTH, f.ZONE_ORIG_ONLY, f.ZONE_REPLY_ONLY]);
  const everything =
    f.HAS_RARE | f.HAS_WSCALE | f.HAS_VTAGS | f.HAS_MARK | f.HAS_PORTS | f.HAS_MASTER_PORTS | f.HAS_STATE;
  expect(has & everything).toBe(everything);
});

test("every message decodes to what the library makes of it", () => {
  expect(messages.length).toBeGreaterThan(100);
  for (const message of messages) {
    const flow = new f.Flow();
    expect(decode(message, flow.words)).toBe(DECODED);
    const library = parseByLibrary(message);
    if (library === undefined) throw new Error("the library refused a message of the kernel's");
    if (f.isIcmp(flow.l4proto)) {
      const type = (flow.words[f.ORIG_PORTS] >>> 8) & 0xff;
      expect((flow.words[f.REPLY_PORTS] >>> 8) & 0xff).toBe(icmpReplyType(flow.l4proto, type));
      flow.words[f.REPLY_PORTS] = 0; // The library keeps none.
    }
    expect(Array.from(flow.words)).toEqual(Array.from(library));
  }
});

test("a message cut short anywhere is refused, or holds less, and nothing past its end is read", () => {
  const words = new f.Flow().words;
  const answers = new Set<number>();
  for (const message of messages.slice(0, 200)) {
    for (let length = CTNETLINK_HEADER_BYTES; length < message.length; length++) {
      answers.add(decode(message.subarray(0, length), words));
    }
  }
  expect(answers).toEqual(new Set([DECODED, REFUSED_LENGTH, REFUSED_TUPLE]));
});

test("flipped bits never make it throw, nor depend on what lies behind the message", () => {
  const answers = new Set<number>();
  const property = fc.property(
    fc.nat(messages.length - 1),
    fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 }),
    (which, flips) => {
      const damaged = messages[which].slice();
      for (const [at, bit] of flips) {
        damaged[CTNETLINK_HEADER_BYTES - 4 + (at % (damaged.length - CTNETLINK_HEADER_BYTES + 4))] ^= 1 << bit;
      }
      const alone = new f.Flow();
      const answer = decode(damaged, alone.words);
      answers.add(answer);
      const followed = new Uint8Array(damaged.length + 64).fill(0xff);
      followed.set(damaged);
      const other = new f.Flow();
      expect(decodeConntrack(new DataView(followed.buffer), 0, damaged.length, other.words)).toBe(answer as 0);
      expect(other.words).toEqual(alone.words);
    },
  );
  fc.assert(property, { numRuns: 3000 });
  expect(answers).toEqual(new Set([DECODED, REFUSED_LENGTH, REFUSED_FAMILY, REFUSED_TUPLE]));
});
