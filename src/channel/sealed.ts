/**
 * A UDP link with a key: each datagram is sealed on its way out and opened on its way in. To the loop and the replica it is
 * a channel like any other, with smaller datagrams, and without room until both ends have greeted each other.
 */
import { SEAL_HEADER_BYTES, SEAL_OVERHEAD_BYTES } from "../wire/seal.ts";
import type { Channel } from "./channel.ts";
import type { Seal } from "./seal.ts";
import { RECEIVE_DATAGRAMS, SEND_DATAGRAMS, type UdpChannel } from "./udp.ts";

export class SealedChannel implements Channel {
  readonly fd: number;
  readonly interfaceIndex: number;
  readonly mtuBytes: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly payloadMax: number;
  readonly #udp: UdpChannel;
  readonly #seal: Seal;
  /** Lengths of the datagrams that are complete and still clear: what follows one is cut from its end, so not before `flush`. */
  readonly #clear = new Uint32Array(SEND_DATAGRAMS);
  #clearCount = 0;
  readonly #opened = new Int32Array(RECEIVE_DATAGRAMS);

  constructor(udp: UdpChannel, seal: Seal) {
    this.#udp = udp;
    this.#seal = seal;
    this.fd = udp.fd;
    this.interfaceIndex = udp.interfaceIndex;
    this.mtuBytes = udp.mtuBytes;
    this.view = udp.view;
    this.bytes = udp.bytes;
    this.payloadMax = udp.payloadMax - SEAL_OVERHEAD_BYTES;
  }

  get room(): number {
    return this.#seal.ready ? this.#udp.room - this.#clearCount : 0;
  }

  open(): number {
    return this.#udp.open(this.#clearCount) + SEAL_HEADER_BYTES;
  }

  close(lengthBytes: number): void {
    this.#clear[this.#clearCount++] = lengthBytes;
  }

  /** What was filled for a session that ended meanwhile waits for the next one. */
  flush(): boolean {
    const seal = this.#seal;
    let sealed = 0;
    while (sealed < this.#clearCount && seal.ready) {
      this.#udp.close(seal.seal(this.bytes, this.view, this.#udp.open(), this.#clear[sealed++]));
    }
    this.#clearCount -= sealed;
    if (sealed > 0 && this.#clearCount > 0) this.#clear.copyWithin(0, sealed, sealed + this.#clearCount);
    return this.#udp.flush();
  }

  receive(datagramsMax: number): number {
    return this.#udp.receive(datagramsMax);
  }

  get received(): DataView {
    return this.#udp.received;
  }

  isPeers(i: number, nowMs: number): boolean {
    const udp = this.#udp;
    if (!udp.isPeers(i)) return false;
    this.#opened[i] = this.#seal.open(udp.receivedBytes, udp.received, udp.offset(i), udp.lengthOf(i), nowMs);
    if (this.#seal.handshake.answer) udp.sendAlone(this.#seal.greeting(nowMs));
    return this.#opened[i] >= 0;
  }

  offset(i: number): number {
    return this.#udp.offset(i) + SEAL_HEADER_BYTES;
  }

  lengthOf(i: number): number {
    return this.#opened[i];
  }

  get drops(): number {
    return this.#udp.drops;
  }

  get dueMs(): number {
    return this.#seal.handshake.dueMs;
  }

  tick(nowMs: number): void {
    if (this.#seal.handshake.tick(nowMs)) this.#udp.sendAlone(this.#seal.greeting(nowMs));
  }

  shut(): void {
    this.#udp.shut();
  }
}
