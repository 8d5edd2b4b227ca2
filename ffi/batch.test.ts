import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Errno } from "./errno.ts";
import { close } from "./libc.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { SendBatch } from "./send-batch.ts";
import { bind, connect, localPort, openSocket, SOCK_DGRAM } from "./socket.ts";
import { AF_INET, AF_INET6, inet6Address, inetAddress, type SocketAddress } from "./socket-address.ts";

const LOOPBACK = 0x7f000001;
const LOOPBACK6 = [0, 0, 0, 1];

interface Family {
  readonly name: string;
  readonly family: number;
  readonly words: readonly number[];
  address(port: number): SocketAddress;
}
const families: readonly Family[] = [
  { name: "IPv4", family: AF_INET, words: [LOOPBACK, 0, 0, 0], address: (port) => inetAddress(LOOPBACK, port) },
  { name: "IPv6", family: AF_INET6, words: LOOPBACK6, address: (port) => inet6Address(LOOPBACK6, port) },
];

describe.each(families)("over $name", ({ family, words, address }) => {
  let sender: number;
  let receiver: number;
  let destination: SocketAddress;
  beforeEach(() => {
    sender = openSocket(family, SOCK_DGRAM, 0);
    receiver = openSocket(family, SOCK_DGRAM, 0);
    expect(bind(sender, address(0))).toBe(0);
    expect(bind(receiver, address(0))).toBe(0);
    destination = address(localPort(receiver));
  });
  afterEach(() => {
    close(sender);
    close(receiver);
  });

  test("datagrams of any length arrive whole, in order, with their sender", () => {
    const send = new SendBatch(8, 1400);
    const receive = new ReceiveBatch(16, 1400, { source: true });
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 8; i++) {
        const length = 1 + ((round * 211 + i * 97) % 1400);
        send.bytes.fill(round * 8 + i, send.offset(i), send.offset(i) + length);
        send.setLength(i, length);
        send.setDestination(i, destination);
      }
      expect(send.send(sender, 0, 3)).toBe(3);
      expect(send.send(sender, 3, 8)).toBe(5);
      expect(receive.receive(receiver)).toBe(8);
      for (let i = 0; i < 8; i++) {
        const length = 1 + ((round * 211 + i * 97) % 1400);
        const at = receive.offset(i);
        expect(receive.length(i)).toBe(length);
        expect(receive.truncated(i)).toBe(false);
        expect(receive.bytes.subarray(at, at + length).every((byte) => byte === ((round * 8 + i) & 0xff))).toBe(true);
        expect(receive.view.getUint8(at)).toBe((round * 8 + i) & 0xff);
        expect(receive.sourceFamily(i)).toBe(family);
        expect(receive.sourcePort(i)).toBe(localPort(sender));
        expect([0, 1, 2, 3].map((word) => receive.sourceWord(i, word))).toEqual([...words]);
      }
    }
    expect(receive.receive(receiver)).toBe(-Errno.EAGAIN);
  });

  test("a connected socket needs no destination, and a closed peer is reported", () => {
    expect(connect(sender, destination)).toBe(0);
    const send = new SendBatch(2, 100);
    const receive = new ReceiveBatch(4, 100);
    send.setLength(0, 100);
    send.setLength(1, 7);
    expect(send.send(sender, 0, 2)).toBe(2);
    expect(receive.receive(receiver, 1)).toBe(1);
    expect(receive.length(0)).toBe(100);
    expect(receive.receive(receiver)).toBe(1);
    expect(receive.length(0)).toBe(7);
    close(receiver);
    expect(send.send(sender, 0, 1)).toBe(1);
    expect(send.send(sender, 0, 1)).toBe(-Errno.ECONNREFUSED);
  });

  test("a datagram longer than its room is marked, and its neighbours are untouched", () => {
    const send = new SendBatch(2, 200);
    const receive = new ReceiveBatch(2, 100, { source: true });
    for (const i of [0, 1]) send.setDestination(i, destination);
    send.bytes.fill(0xaa);
    send.setLength(0, 101);
    send.setLength(1, 100);
    expect(send.send(sender, 0, 2)).toBe(2);
    expect(receive.receive(receiver)).toBe(2);
    expect(receive.truncated(0)).toBe(true);
    expect(receive.truncated(1)).toBe(false);
    expect(receive.length(1)).toBe(100);
    expect(receive.bytes.subarray(receive.offset(0) + 100, receive.offset(1)).every((byte) => byte === 0)).toBe(true);
  });
});

test("a datagram that does not fit its slot is a bug of the caller", () => {
  expect(() => new SendBatch(1, 100).setLength(0, 101)).toThrow("101 bytes");
});
