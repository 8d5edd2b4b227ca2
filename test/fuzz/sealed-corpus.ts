/**
 * Messages that two ctsync nodes say to each other behind the seal, to begin with: flows with every extended attribute and a
 * claim, expectations, and extension messages of every subtype, addressed to the lives of datagram-life.ts.
 */
import fc from "fast-check";
import { completeReply } from "../../src/flow/reply.ts";
import { LONGEST_MESSAGE_BYTES, putClaim } from "../../src/wire/claim.ts";
import { encodeFlow } from "../../src/wire/encode.ts";
import { encodeExpectation } from "../../src/wire/expectation.ts";
import {
  AT_EPOCH,
  AT_HEARD_EPOCH,
  AT_PAIRS,
  AT_SUMS,
  EXT_ASK,
  EXT_LIST,
  EXT_PREPARE,
  EXT_PREPARED,
  EXT_STATE,
  EXT_SUMS,
  EXT_VERDICT,
  EXT_WANT,
  ExtensionMessage,
  encodeExtension,
  LIST_PAIRS_MAX,
  SUMS,
  WANT_KEYS_MAX,
} from "../../src/wire/extension.ts";
import { CT_DESTROY, EXP_NEW, HEADER_BYTES, putHeader } from "../../src/wire/header.ts";
import { kernelFlow } from "../kernel-flow.ts";
import { arbitraryExpectation } from "../make-expectation.ts";
import type { Random } from "../sim/random.ts";
import type { Attribute } from "./attribute-tree.ts";
import { PEER_EPOCH, VICTIM_EPOCH } from "./datagram-life.ts";
import { mutateBytes, pick } from "./mutate.ts";
import { datagramOf, type Message, mutateMessage, wireMessages } from "./wire-corpus.ts";

/** Ids of our own, those that expectations and flows share among them, the claim, and one that nobody knows. */
const EXTENDED_IDS = [64, 65, 66, 67, 68, 69, 70, 96, 97];
const WORDS = [0, 1, 2, 31, 32, 63, 64, 65, 255, 2 ** 20, 2 ** 21, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1];
const EPOCHS = [PEER_EPOCH.low, PEER_EPOCH.high, VICTIM_EPOCH.low, VICTIM_EPOCH.high];
const WORDS_FROM = HEADER_BYTES + 4;
const FLOWS = 80;
const EXPECTATIONS = 12;
const CLAIMS = [1, 2, 3, 2 ** 32, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER, 2 ** 64];

function written(put: (view: DataView) => number): Message {
  const bytes = new Uint8Array(2 * LONGEST_MESSAGE_BYTES);
  return bytes.slice(0, put(new DataView(bytes.buffer)));
}

/** Every protocol that a kernel tracks, in zones of both kinds, with reply tuples that follow from nothing. */
const flows = fc.sample(kernelFlow, { seed: 1, numRuns: FLOWS }).map((flow, i) =>
  written((view) => {
    completeReply(flow.words);
    const type = i % (CT_DESTROY + 1);
    let length = encodeFlow(flow, view, 0, false, true);
    if (type !== CT_DESTROY && i % 5 !== 0) length = putClaim(view, length, CLAIMS[i % CLAIMS.length]!);
    putHeader(view, 0, type, 0, length, i);
    return length;
  }),
);

const expectations = fc.sample(arbitraryExpectation(15), { seed: 1, numRuns: EXPECTATIONS }).map((expectation, i) =>
  written((view) => {
    const length = encodeExpectation(expectation, view, 0, true);
    putHeader(view, 0, EXP_NEW + (i % 3), 0, length, i);
    return length;
  }),
);

/** As it is sent from `from` to `to`, with words behind that are `fill`ed in. */
function extension(subtype: number, a: number, b: number, fill: readonly number[], words = 0): Message {
  const message = new ExtensionMessage();
  message.begin(subtype, a, b);
  for (const [i, word] of fill.entries()) message.words[i] = word;
  message.count = Math.max(message.count, fill.length, words);
  return written((view) => encodeExtension(message, view, 0, 0, 1));
}

const fromPeer = [PEER_EPOCH.low, VICTIM_EPOCH.low, 1_000];
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 0x9e3779b1) >>> 0);

function state(heard = VICTIM_EPOCH): Message {
  const words = new Array<number>(12).fill(0);
  words[0] = 3;
  words.splice(AT_EPOCH, 2, PEER_EPOCH.high, PEER_EPOCH.low);
  words.splice(AT_HEARD_EPOCH, 2, heard.high, heard.low);
  return extension(EXT_STATE, 1, 1, words);
}

/** Level 0 and 1; lists of one bucket, empty, with some flows and with as many as there may be. */
const extensions: readonly Message[] = [
  state(),
  state({ high: 0, low: 0 }),
  extension(EXT_SUMS, 0, 0, [...fromPeer, 3], AT_SUMS + SUMS),
  extension(EXT_SUMS, 0, 0, [...fromPeer, 300, ...numbers(SUMS)]),
  ...[0, 63].map((group) => extension(EXT_SUMS, 1, group, [...fromPeer, 300, ...numbers(SUMS)])),
  ...[0, 7, LIST_PAIRS_MAX].map((pairs) =>
    extension(EXT_LIST, pairs, 0, [...fromPeer, 0, 0xfffff, ...numbers(2 * pairs)], AT_PAIRS + 2 * pairs),
  ),
  extension(EXT_LIST, 0, 0, [...fromPeer, 0xfff00000, 0xffffffff]),
  extension(EXT_ASK, 0, 0, [VICTIM_EPOCH.low, 0xffffffff, 0xffffffff]),
  ...[0, 31, 63].map((group) => extension(EXT_ASK, 1, group, [VICTIM_EPOCH.low, 0xffffffff, 1])),
  ...[0, 1, WANT_KEYS_MAX].map((keys) => extension(EXT_WANT, keys, 0, [VICTIM_EPOCH.low, ...numbers(keys)])),
  extension(EXT_WANT, WANT_KEYS_MAX, 0, [VICTIM_EPOCH.low, ...numbers(WANT_KEYS_MAX + 4)]), // Longer than it asks.
  ...[0, 64].map((differing) => extension(EXT_VERDICT, differing, 0, [VICTIM_EPOCH.low, 50_000, 3, 1])),
  extension(EXT_PREPARE, 0, 0, [VICTIM_EPOCH.low, 1]),
  extension(EXT_PREPARED, 0, 0, [VICTIM_EPOCH.low, 1, 5, 0]),
  extension(EXT_STATE, 0, 0, []).with(HEADER_BYTES, EXT_PREPARED + 1), // Of a kind that a later version may know.
];

/** Behind the header and the first four bytes there are words alone; the length stays right but for one in twenty. */
function mutateExtension(message: Message, random: Random): Message {
  if (random.percent(15) || message.length < WORDS_FROM) return mutateBytes(message, random);
  let changed = message.slice();
  for (let left = random.below(3); left >= 0; left--) {
    const dice = random.below(8);
    const words = (changed.length - WORDS_FROM) >>> 2;
    if (dice === 0) changed[HEADER_BYTES] = random.below(EXT_PREPARED + 3);
    else if (dice <= 2) changed[HEADER_BYTES + 1 + random.below(3)] = pick(random, WORDS) & 0xff;
    else if (dice === 3) changed = changed.slice(0, WORDS_FROM + 4 * random.below(words + 1));
    else if (dice === 4) changed = Uint8Array.from([...changed, ...new Uint8Array(4 * (1 + random.below(8)))]);
    else if (words > 0) {
      const word = dice === 5 ? pick(random, EPOCHS) : dice === 6 ? random.word() : pick(random, WORDS);
      new DataView(changed.buffer).setUint32(WORDS_FROM + 4 * random.below(words), word);
    }
  }
  // A life that the true peer has not ends what the two know of each other: few of these, or nothing behind that is reached.
  const isState = changed[HEADER_BYTES] === EXT_STATE && changed.length >= WORDS_FROM + 4 * AT_HEARD_EPOCH;
  if (isState && random.percent(97)) putEpoch(changed);
  if (random.percent(95)) new DataView(changed.buffer).setUint16(2, changed.length);
  return changed;
}

function putEpoch(state: Message): void {
  const view = new DataView(state.buffer);
  view.setUint32(WORDS_FROM + 4 * AT_EPOCH, PEER_EPOCH.high);
  view.setUint32(WORDS_FROM + 4 * AT_EPOCH + 4, PEER_EPOCH.low);
}

function mutateFlow(message: Message, random: Random): Message {
  const donors = random.percent(50) ? flows : expectations;
  return mutateMessage(message, random, donors, (attributes: Attribute[]) => {
    if (attributes.length > 0 && random.percent(30)) pick(random, attributes).type = pick(random, EXTENDED_IDS);
  });
}

/** A datagram of one to three messages, most of them changed. */
export const hostileClear = (random: Random, kept: readonly Message[]): Message =>
  datagramOf(random, () => {
    if (kept.length > 0 && random.percent(20)) return mutateBytes(pick(random, kept), random);
    const dice = random.below(100);
    const base = pick(random, dice < 45 ? flows : dice < 55 ? expectations : dice < 95 ? extensions : wireMessages);
    if (random.percent(10)) return base;
    return base[0]! % 16 === 15 ? mutateExtension(base, random) : mutateFlow(base, random);
  });
