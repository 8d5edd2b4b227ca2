/**
 * The sync link over UDP: one socket, bound to our address and to the interface, that sends to the peer and hears it.
 *
 * Only the peer's address is heard; the source port is not looked at, as conntrackd sends from a random one. Datagrams are
 * filled to the interface's MTU: conntrackd's rule keeps a payload below MTU - 28; over IPv6, whose header is 20 bytes
 * longer, that would be cut into fragments, so there it is below MTU - 48.
 */
import { Errno, errnoName } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { ReceiveBatch } from "../../ffi/receive-batch.ts";
import { SendBatch } from "../../ffi/send-batch.ts";
import { bind, openSocket, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_INET, AF_INET6, inet6Address, inetAddress, type SocketAddress } from "../../ffi/socket-address.ts";
import { bindToDevice, Option, type SocketOption, setOption, socketDrops } from "../../ffi/socket-options.ts";
import type { Address } from "../config/address.ts";
import type { LinkConfig } from "../config/load.ts";
import type { LinkState } from "../kernel/addresses.ts";
import { type Result, refuse, succeed } from "../result.ts";
import { LONGEST_MESSAGE_BYTES } from "../wire/claim.ts";
import type { Channel } from "./channel.ts";
import type { ChannelCounters } from "./counters.ts";

/** Datagrams that a `receive` can bring. */
export const RECEIVE_DATAGRAMS = 64;
export const SEND_DATAGRAMS = 64;
/** The longest UDP datagram: whatever MTU the peer has, nothing it sends is cut off. */
const DATAGRAM_BYTES_MAX = 65_536;
const IPV4_AND_UDP_BYTES = 28;
const IPV6_AND_UDP_BYTES = 48;
/** Of an MTU that large one datagram would be lost as a whole too often. */
const MTU_BYTES_MAX = 9_216;

export class UdpChannel implements Channel {
  readonly fd: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly interfaceIndex: number;
  readonly mtuBytes: number;
  readonly payloadMax: number;
  /** It has nothing to do by itself. */
  readonly dueMs = Number.POSITIVE_INFINITY;
  readonly #counters: ChannelCounters;
  readonly #peer: Address;
  readonly #destination: SocketAddress;
  readonly #in = new ReceiveBatch(RECEIVE_DATAGRAMS, DATAGRAM_BYTES_MAX, { source: true });
  readonly #out: SendBatch;
  #filled = 0;
  #sent = 0;

  /** Opens the link, or answers -errno's sentence: the address may not be there yet. */
  static open(link: LinkConfig, state: LinkState, counters: ChannelCounters): Result<UdpChannel> {
    const family = link.local.family === 4 ? AF_INET : AF_INET6;
    const fd = openSocket(family, SOCK_DGRAM, 0);
    if (fd < 0) return refuse(`cannot open a UDP socket: ${errnoName(fd)}`);
    if (family === AF_INET6) setOption(fd, Option.IPV6_V6ONLY, 1);
    const bound = bindToDevice(fd, link.interface);
    const answer = bound < 0 ? bound : bind(fd, socketAddress(link.local, link.port, state.index));
    if (answer < 0) {
      close(fd);
      return refuse(bindFailure(link, answer));
    }
    return succeed(new UdpChannel(fd, link, state, counters));
  }

  private constructor(fd: number, link: LinkConfig, state: LinkState, counters: ChannelCounters) {
    this.fd = fd;
    this.#counters = counters;
    this.interfaceIndex = state.index;
    this.mtuBytes = state.mtuBytes;
    this.#peer = link.peer;
    grow(fd, Option.SO_RCVBUFFORCE, Option.SO_RCVBUF, link.receiveBufferBytes);
    grow(fd, Option.SO_SNDBUFFORCE, Option.SO_SNDBUF, link.sendBufferBytes);
    const headers = link.local.family === 4 ? IPV4_AND_UDP_BYTES : IPV6_AND_UDP_BYTES;
    this.payloadMax = Math.min(state.mtuBytes, MTU_BYTES_MAX) - headers - 1;
    this.#out = new SendBatch(SEND_DATAGRAMS, this.payloadMax + LONGEST_MESSAGE_BYTES);
    this.#destination = socketAddress(link.peer, link.port, state.index);
    for (let i = 0; i < SEND_DATAGRAMS; i++) this.#out.setDestination(i, this.#destination);
    this.view = this.#out.view;
    this.bytes = this.#out.bytes;
  }

  get room(): number {
    return SEND_DATAGRAMS - this.#filled;
  }

  /** `ahead`: of the one that follows so many others that are still to be closed. */
  open(ahead = 0): number {
    return this.#out.offset(this.#filled + ahead);
  }

  close(lengthBytes: number): void {
    this.#out.setLength(this.#filled++, lengthBytes);
  }

  flush(): boolean {
    while (this.#sent < this.#filled) {
      const answer = this.#out.send(this.fd, this.#sent, this.#filled);
      if (answer > 0) {
        this.#sent += answer;
        this.#counters.sent += answer;
      } else if (answer === -Errno.EAGAIN) return false;
      else if (answer !== -Errno.EINTR) {
        this.#sent++; // Loss like any other: the mode's to recover.
        this.#counters.sendFailed++;
      }
    }
    this.#sent = 0;
    this.#filled = 0;
    return true;
  }

  /** Sends a datagram at once, past those that wait. One that does not go is lost. */
  sendAlone(bytes: Uint8Array): void {
    if (sendTo(this.fd, bytes, bytes.length, this.#destination) === bytes.length) this.#counters.sent++;
    else this.#counters.sendFailed++;
  }

  receive(datagramsMax: number): number {
    return Math.max(this.#in.receive(this.fd, datagramsMax), 0);
  }

  get received(): DataView {
    return this.#in.view;
  }

  get receivedBytes(): Uint8Array {
    return this.#in.bytes;
  }

  offset(i: number): number {
    return this.#in.offset(i);
  }

  lengthOf(i: number): number {
    return this.#in.length(i);
  }

  isPeers(i: number): boolean {
    const words = this.#peer.words;
    let differing = 0;
    for (let w = 0; w < 4; w++) differing |= this.#in.sourceWord(i, w) ^ words[w];
    if (differing === 0) return true;
    this.#counters.foreign++;
    return false;
  }

  get drops(): number {
    return Math.max(socketDrops(this.fd), 0);
  }

  tick(): void {}

  shut(): void {
    close(this.fd);
  }
}

const socketAddress = (address: Address, port: number, index: number): SocketAddress =>
  address.family === 4
    ? inetAddress(address.words[0], port)
    : inet6Address(address.words, port, address.zone === undefined ? 0 : index);

/** Past the system's limit where we may, up to it where not. */
function grow(fd: number, force: SocketOption, plain: SocketOption, bytes: number): void {
  if (setOption(fd, force, bytes) < 0) setOption(fd, plain, bytes);
}

function bindFailure(link: LinkConfig, answer: number): string {
  switch (-answer) {
    case Errno.EADDRNOTAVAIL:
      return `waiting for the address ${link.local.text} on ${link.interface}: give it to the interface, or correct link[0].local`;
    case Errno.ENODEV:
      return `waiting for the interface ${link.interface}`;
    case Errno.EADDRINUSE:
      return `${link.local.text} port ${link.port} is taken by another program (another ctsync, or conntrackd?): stop it, or choose another link[0].port`;
    default:
      return `cannot use ${link.local.text} port ${link.port} on ${link.interface}: ${errnoName(answer)}`;
  }
}
