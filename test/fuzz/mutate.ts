/**
 * Changes to real bytes: blind ones, and ones that know attributes. What they do depends on the random numbers alone.
 *
 * Most cases keep every length right and lie about one thing only: a message that is refused at its first byte tests
 * nothing behind that byte.
 */
import type { Random } from "../sim/random.ts";
import { type Attribute, concatenate } from "./attribute-tree.ts";

const BYTES = [0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xfe, 0xff];
const WORDS = [0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 32, 255, 256, 1_024, 0x7fff, 0x8000, 0xfffe, 0xffff];

export const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

/** One to four blind changes: bits, bytes and numbers, cuts, insertions, repetitions. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  let changed = Uint8Array.from(bytes);
  for (let i = random.below(4); i >= 0; i--) changed = mutateOnce(changed, random);
  return changed;
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  const at = random.below(bytes.length);
  const span = 1 + random.below(Math.min(16, bytes.length - at));
  switch (random.below(8)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = pick(random, BYTES);
      return bytes;
    case 2:
      bytes[at] = random.below(256);
      return bytes;
    case 3: {
      const word = pick(random, WORDS);
      bytes[at] = random.percent(50) ? word & 0xff : word >>> 8;
      if (at + 1 < bytes.length) bytes[at + 1] = bytes[at] === word >>> 8 ? word & 0xff : word >>> 8;
      return bytes;
    }
    case 4:
      return bytes.slice(0, at);
    case 5:
      return concatenate([bytes.subarray(0, at), bytes.subarray(at + span)]);
    case 6:
      return concatenate([bytes.subarray(0, at), randomBytes(random, span), bytes.subarray(at)]);
    default:
      return concatenate([bytes.subarray(0, at + span), bytes.subarray(at)]);
  }
}

export const randomBytes = (random: Random, length: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, () => random.below(256));

/** One to three changes of the tree, in place. `donor`: another message's attributes, some of which may be taken over. */
export function mutateAttributes(
  attributes: Attribute[],
  donor: readonly Attribute[],
  typesEnd: number,
  random: Random,
): void {
  for (let i = random.below(3); i >= 0; i--) mutateLevel(levelOf(attributes, random), donor, typesEnd, random);
}

/** This list, or one that is nested in it. */
function levelOf(attributes: Attribute[], random: Random): Attribute[] {
  const inner = attributes.filter(({ nested }) => nested !== undefined);
  if (inner.length === 0 || random.percent(40)) return attributes;
  return levelOf(pick(random, inner).nested!, random);
}

function mutateLevel(level: Attribute[], donor: readonly Attribute[], typesEnd: number, random: Random): void {
  const at = random.below(level.length + 1);
  const chosen = level[at];
  switch (chosen === undefined ? 0 : random.below(9)) {
    case 0:
      if (donor.length > 0) level.splice(at, 0, structuredClone(pick(random, donor)));
      return;
    case 1:
      level.splice(at, 1);
      return;
    case 2:
      level.push(structuredClone(chosen!));
      return;
    case 3:
      level.splice(at, 1);
      level.splice(random.below(level.length + 1), 0, chosen!);
      return;
    case 4:
      chosen!.type = (chosen!.type & 0x8000) | random.below(typesEnd);
      return;
    case 5: {
      chosen!.payload = resized(chosen!.payload, random);
      delete chosen!.nested;
      return;
    }
    default:
      if (chosen!.nested === undefined) chosen!.payload = sameSize(chosen!.payload, random);
  }
}

function resized(payload: Uint8Array, random: Random): Uint8Array {
  const length = random.percent(80)
    ? Math.max(0, payload.length + pick(random, [-4, -2, -1, 1, 2, 4, 8]))
    : pick(random, WORDS) % 2_048;
  const bytes = new Uint8Array(length);
  bytes.set(payload.subarray(0, length));
  return bytes;
}

function sameSize(payload: Uint8Array, random: Random): Uint8Array {
  if (random.percent(30)) return randomBytes(random, payload.length);
  const bytes = Uint8Array.from(payload);
  if (bytes.length > 0) bytes[random.below(bytes.length)] = pick(random, BYTES);
  return bytes;
}
