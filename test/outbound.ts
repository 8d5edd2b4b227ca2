/** Where a replica puts datagrams in a test: as many as there is room for, each as long as the link allows. */
import type { Outbound } from "../src/replica.ts";
import { LONGEST_MESSAGE_BYTES } from "../src/wire/claim.ts";
import { frameLength } from "../src/wire/header.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export class Datagrams implements Outbound {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly payloadMax: number;
  readonly #stride: number;
  readonly #most: number;
  readonly #lengths: number[] = [];

  constructor(payloadMaxBytes = 1_471, most = 16) {
    this.payloadMax = payloadMaxBytes;
    this.#stride = payloadMaxBytes + LONGEST_MESSAGE_BYTES;
    this.#most = most;
    this.bytes = new Uint8Array(this.#stride * most);
    this.view = new DataView(this.bytes.buffer);
  }

  get room(): number {
    return this.#most - this.#lengths.length;
  }

  open(): number {
    if (this.room < 1) throw new Error("a datagram was opened where there was no room");
    return this.#lengths.length * this.#stride;
  }

  close(lengthBytes: number): void {
    this.#lengths.push(lengthBytes);
  }

  /** What was put here since the last look. */
  take(): Bytes[] {
    return this.#lengths
      .splice(0)
      .map((length, i) => Uint8Array.from(this.bytes.subarray(i * this.#stride, i * this.#stride + length)));
  }
}

export const viewOf = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The messages of a datagram, one after the other. */
export function messagesOf(datagram: Bytes): Bytes[] {
  const view = viewOf(datagram);
  const messages: Bytes[] = [];
  for (let at = 0; at < datagram.length; ) {
    const bytes = frameLength(view, at, datagram.length);
    if (bytes < 0) throw new Error(`no message at byte ${at} of ${datagram.toHex()}`);
    messages.push(datagram.slice(at, at + bytes));
    at += bytes;
  }
  return messages;
}
