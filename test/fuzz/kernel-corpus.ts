/** ctnetlink and rtnetlink messages to begin with, recorded from a real kernel (test/golden/ctnetlink), and changes to them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CTA_PROTOINFO, CTA_PROTOINFO_DCCP, CTNETLINK_HEADER_BYTES } from "../../src/kernel/ctnetlink-attributes.ts";
import { align4 } from "../../src/kernel/netlink.ts";
import type { Random } from "../sim/random.ts";
import { type Attribute, attributeBytes, concatenate, parseAttributes, plainType } from "./attribute-tree.ts";
import { mutateAttributes, mutateBytes, pick } from "./mutate.ts";

export type Message = Uint8Array<ArrayBuffer>;

/** One past the highest number of any level, and some beyond. */
const TYPES_END = 28;
const ADDRESS_HEADER_BYTES = 24;

function readRecording(name: string): Message[] {
  const bytes = readFileSync(join(import.meta.dir, "../golden/ctnetlink", name));
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    messages.push(Uint8Array.from(bytes.subarray(at, at + length)));
    at += align4(length);
  }
  return messages;
}

const recorded = [...readRecording("events.bin"), ...readRecording("dump.bin")];

/** Kernels of today track no DCCP; older ones say its state and role where TCP's stand. */
const dccp = recorded.flatMap((message) => {
  const attributes = attributesOf(message);
  const info = attributes?.find((attribute) => plainType(attribute) === CTA_PROTOINFO)?.nested?.[0];
  if (attributes === undefined || info === undefined) return [];
  info.type = (info.type & 0x8000) | CTA_PROTOINFO_DCCP;
  return [withAttributes(message, CTNETLINK_HEADER_BYTES, attributes)];
});

export const kernelMessages: readonly Message[] = [...recorded, ...dccp.slice(0, 4)];
export const addressMessages: readonly Message[] = readRecording("addresses.bin");

export function attributesOf(message: Message, headerBytes = CTNETLINK_HEADER_BYTES): Attribute[] | undefined {
  return message.length < headerBytes ? undefined : parseAttributes(message, true, headerBytes);
}

function withAttributes(message: Message, headerBytes: number, attributes: readonly Attribute[]): Message {
  const whole = concatenate([message.subarray(0, headerBytes), attributeBytes(attributes, true)]);
  if (whole.length >= 4) new DataView(whole.buffer).setUint32(0, whole.length, true);
  return whole;
}

/** Changed within its attributes, with lengths that are right, unless chance will have it otherwise. */
export const mutateConntrack = (message: Message, random: Random): Message =>
  mutate(message, CTNETLINK_HEADER_BYTES, kernelMessages, random);
export const mutateAddress = (message: Message, random: Random): Message =>
  mutate(message, ADDRESS_HEADER_BYTES, addressMessages, random);

function mutate(message: Message, headerBytes: number, donors: readonly Message[], random: Random): Message {
  const attributes = attributesOf(message, headerBytes);
  if (attributes === undefined || random.percent(15)) return mutateBytes(message, random);
  mutateAttributes(attributes, attributesOf(pick(random, donors), headerBytes) ?? [], TYPES_END, random);
  const header = random.percent(10) ? mutateBytes(message.subarray(0, headerBytes), random) : message;
  const changed = withAttributes(header, Math.min(headerBytes, header.length), attributes);
  if (!random.percent(15)) return changed;
  const blind = mutateBytes(changed, random);
  if (blind.length >= 4 && random.percent(70)) new DataView(blind.buffer).setUint32(0, blind.length, true);
  return blind;
}
