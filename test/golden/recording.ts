/**
 * One recorded pair of firewalls: what was on the sync link at a node, and what its conntrackd said about it.
 * The files and how they came about: README.md of this folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { frameLength, HEADER_BYTES, headerLength } from "../../src/wire/header.ts";
import type { Attributes } from "./attributes.ts";
import { type Payload, readPcap } from "./pcap.ts";

const FOLDER = join(import.meta.dir, "recordings");

/** One line of fX-messages.jsonl: a message as another decoder read it. */
export interface DecodedMessage {
  readonly frame: number;
  readonly src: string;
  readonly dst: string;
  readonly offset: number;
  readonly type: "CT_NEW" | "CT_UPDATE" | "CT_DESTROY" | "EXP_NEW" | "EXP_UPDATE" | "EXP_DESTROY" | "CTL";
  readonly flags: readonly string[];
  readonly len: number;
  readonly seq: number;
  readonly from?: number;
  readonly to?: number;
  readonly attrs?: Attributes;
}

/** One message as it was on the link. */
export interface RawMessage {
  readonly frame: number;
  readonly timeSeconds: number;
  readonly source: string;
  readonly destination: string;
  /** Where it starts in its datagram; 0 over TCP. */
  readonly offset: number;
  /** Exactly the message. */
  readonly view: DataView;
}

export type Node = "f1" | "f2";

/** Something done to a node while the traffic was recorded. */
export interface RecordedEvent {
  readonly t: number;
  readonly what: "start" | "stop" | "kill" | "ctl" | "dump" | "commit" | "loss";
  readonly node?: Node;
  readonly tag?: string;
  readonly args?: string;
}

export interface Meta {
  readonly mode: "NOTRACK" | "FTFW" | "ALARM";
  readonly channel: "udp" | "mcast" | "tcp";
  readonly modeopt: Readonly<Record<string, string | number>>;
  readonly f1_sync: readonly string[];
  readonly f2_sync: readonly string[];
  readonly events: readonly RecordedEvent[];
}

export const recordingNames: readonly string[] = readdirSync(FOLDER)
  .filter((name) => name !== "parser-probes")
  .sort();

const pathOf = (name: string, file: string): string => join(FOLDER, name, file);

export const readMeta = (name: string): Meta => JSON.parse(readFileSync(pathOf(name, "meta.json"), "utf8")) as Meta;

const readPayloads = (name: string, node: Node): Payload[] => readPcap(readFileSync(pathOf(name, `${node}.pcap`)));

export const readDecoded = (name: string, node: Node): DecodedMessage[] =>
  readLines(name, `${node}-messages.jsonl`).map((line) => JSON.parse(line) as DecodedMessage);

/** The lines of a text file of the recording; none when conntrackd printed nothing and so there is no file. */
export function readLines(name: string, file: string): string[] {
  if (!readdirSync(join(FOLDER, name)).includes(file)) return [];
  return readFileSync(pathOf(name, file), "utf8").split("\n").filter(Boolean);
}

/** Cuts payloads into messages. A TCP stream's last message may lie in several segments, a datagram's may not. */
export function* readMessages(name: string, node: Node): Generator<RawMessage> {
  const streaming = readMeta(name).channel === "tcp";
  const waiting = new Map<string, Uint8Array>();
  for (const payload of readPayloads(name, node)) {
    const key = `${payload.source} ${payload.destination}`;
    const before = payload.opens ? undefined : waiting.get(key);
    const bytes = before ? concatenate(before, payload.bytes) : payload.bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const lengthBytes = frameLength(view, at, bytes.length);
      if (lengthBytes < 0 && streaming && isIncomplete(view, at, bytes.length)) break;
      if (lengthBytes < 0)
        throw new Error(`${name} ${node} frame ${payload.frame}: frame error ${lengthBytes} at ${at}`);
      const message = new DataView(bytes.buffer, bytes.byteOffset + at, lengthBytes);
      const { frame, timeSeconds, source, destination } = payload;
      yield { frame, timeSeconds, source, destination, offset: streaming ? 0 : at, view: message };
      at += lengthBytes;
    }
    waiting.set(key, bytes.subarray(at));
  }
}

/** The rest of the message may still come: in a stream that is no error. */
function isIncomplete(view: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_BYTES) return true;
  const lengthBytes = headerLength(view, at);
  return lengthBytes >= HEADER_BYTES && end - at < lengthBytes;
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
