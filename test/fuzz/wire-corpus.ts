/**
 * Messages of the sync protocol to begin with: one of each make from the recordings of real daemons, single datagrams that
 * were sent to them, broken ones among them, and what our own encoder says of the kernel's flows.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Flow } from "../../src/flow/flow.ts";
import { DECODED, decodeConntrack } from "../../src/kernel/ctnetlink.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import {
  CT_DESTROY,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  HEADER_BYTES,
  headerFlags,
  headerType,
  putHeader,
} from "../../src/wire/header.ts";
import { readMessages, recordingNames } from "../golden/recording.ts";
import type { Random } from "../sim/random.ts";
import { type Attribute, attributeBytes, concatenate, parseAttributes } from "./attribute-tree.ts";
import { kernelMessages } from "./kernel-corpus.ts";
import { mutateAttributes, mutateBytes, pick } from "./mutate.ts";

export type Message = Uint8Array<ArrayBuffer>;

/** One past the highest attribute id, and some beyond. */
const TYPES_END = 36;

function recorded(): Message[] {
  const found = new Map<string, Message>();
  for (const name of recordingNames) {
    for (const node of ["f1", "f2"] as const) {
      for (const { view } of readMessages(name, node)) {
        const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
        const ids = parseAttributes(bytes.subarray(HEADER_BYTES), false)?.map(({ type }) => type);
        const make = `${headerType(view, 0)} ${headerFlags(view, 0)} ${ids}`;
        if (!found.has(make)) found.set(make, bytes);
      }
    }
  }
  return [...found.values()];
}

function probes(): Message[] {
  const path = join(import.meta.dir, "../golden/recordings/parser-probes/probes.json");
  const all = JSON.parse(readFileSync(path, "utf8")) as readonly { readonly datagram: string }[];
  return [...new Set(all.map(({ datagram }) => datagram))].map((hex) => Uint8Array.fromHex(hex));
}

function encoded(): Message[] {
  const flow = new Flow();
  const bytes = new Uint8Array(MESSAGE_MAX_BYTES);
  const view = new DataView(bytes.buffer);
  return kernelMessages.flatMap((message, i) => {
    if (decodeConntrack(new DataView(message.buffer), 0, message.length, flow.words) !== DECODED) return [];
    const length = encodeFlow(flow, view, 0, true);
    putHeader(view, 0, i % (CT_DESTROY + 1), i % 5 === 0 ? FLAG_HELLO : i % 7 === 0 ? FLAG_HELLO_BACK : 0, length, i);
    return [bytes.slice(0, length)];
  });
}

export const wireMessages: readonly Message[] = [...recorded(), ...probes(), ...encoded()];

/** What is kept is changed and joined again, and would grow for ever. */
const USUAL_BYTES_MAX = 600;
const DATAGRAM_BYTES_MAX = 4_000;

/** A datagram of one to three messages, most of them changed. */
export const hostileDatagram = (random: Random, kept: readonly Message[]): Message =>
  datagramOf(random, () => {
    const base = kept.length > 0 && random.percent(30) ? pick(random, kept) : pick(random, wireMessages);
    return random.percent(90) ? mutateMessage(base, random) : base;
  });

export function datagramOf(random: Random, message: () => Message): Message {
  const messages = Array.from({ length: random.percent(75) ? 1 : 2 + random.below(2) }, message);
  const datagram = concatenate(messages).slice(0, random.percent(98) ? USUAL_BYTES_MAX : DATAGRAM_BYTES_MAX);
  return random.percent(10) ? mutateBytes(datagram, random) : datagram;
}

/** `donors`: whose attributes may be taken over. `retype`: changes the type of some attribute. */
export function mutateMessage(
  message: Message,
  random: Random,
  donors = wireMessages,
  retype: (attributes: Attribute[]) => void = () => {},
): Message {
  const attributes = message.length > HEADER_BYTES ? parseAttributes(message, false, HEADER_BYTES) : undefined;
  if (attributes === undefined || random.percent(20)) return mutateBytes(message, random);
  const donor = parseAttributes(pick(random, donors), false, HEADER_BYTES) ?? [];
  mutateAttributes(attributes, donor, TYPES_END, random);
  retype(attributes);
  const header = random.percent(25)
    ? mutateBytes(message.subarray(0, HEADER_BYTES), random)
    : message.slice(0, HEADER_BYTES);
  const whole = concatenate([header, attributeBytes(attributes, false)]);
  if (whole.length >= 4 && random.percent(95)) new DataView(whole.buffer).setUint16(2, whole.length);
  return whole;
}
