/** Collects the datagrams that one replica sends. */
import type { Outbound } from "../../src/replica.ts";

const DATAGRAM_BYTES = 2_048;
const DATAGRAMS = 16;
const PAYLOAD_MAX = 600; // Small, so that a few flows already make several datagrams.

export class Outbox implements Outbound {
  readonly bytes = new Uint8Array(DATAGRAMS * DATAGRAM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly payloadMax = PAYLOAD_MAX;
  readonly #lengths: number[] = [];

  get room(): number {
    return DATAGRAMS - this.#lengths.length;
  }

  open(): number {
    return this.#lengths.length * DATAGRAM_BYTES;
  }

  close(lengthBytes: number): void {
    if (lengthBytes > PAYLOAD_MAX) throw new Error(`a datagram of ${lengthBytes} bytes`);
    this.#lengths.push(lengthBytes);
  }

  take(): Uint8Array<ArrayBuffer>[] {
    const taken = this.#lengths.map((length, i) => this.bytes.slice(i * DATAGRAM_BYTES, i * DATAGRAM_BYTES + length));
    this.#lengths.length = 0;
    return taken;
  }
}
