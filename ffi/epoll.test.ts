import { afterEach, beforeEach, expect, test } from "bun:test";
import { bunEpollFd, EPOLLIN, EPOLLOUT, Epoll } from "./epoll.ts";
import { Errno } from "./errno.ts";
import { close } from "./libc.ts";
import { bind, localPort, openSocket, receive, SOCK_DGRAM, sendTo } from "./socket.ts";
import { AF_INET, inetAddress } from "./socket-address.ts";

const LOOPBACK = 0x7f000001;
const bytes = new Uint8Array(16);

let epoll: Epoll;
let first: number;
let second: number;
beforeEach(() => {
  epoll = new Epoll();
  first = openSocket(AF_INET, SOCK_DGRAM, 0);
  second = openSocket(AF_INET, SOCK_DGRAM, 0);
  bind(first, inetAddress(LOOPBACK, 0));
  bind(second, inetAddress(LOOPBACK, 0));
});
afterEach(() => {
  epoll.close();
  close(first);
  close(second);
});

const poke = (fd: number): number => sendTo(fd, bytes, 4, inetAddress(LOOPBACK, localPort(fd)));

test("wait names each ready descriptor by its tag, and none when the time is over", () => {
  expect(epoll.add(first, 11)).toBe(0);
  expect(epoll.add(second, 0xffff_fff0)).toBe(0);
  expect(epoll.wait(0)).toBe(0);
  poke(second);
  expect(epoll.wait(1000)).toBe(1);
  expect(epoll.tag(0)).toBe(0xffff_fff0);
  expect(epoll.events(0)).toBe(EPOLLIN);
  poke(first);
  expect(epoll.wait(1000)).toBe(2);
  expect([epoll.tag(0), epoll.tag(1)].sort((a, b) => a - b)).toEqual([11, 0xffff_fff0]);
  receive(first, bytes);
  receive(second, bytes);
  expect(epoll.wait(0)).toBe(0);
});

test("waits for a fraction of a millisecond, and no shorter", () => {
  const shortestMs = (timeoutMs: number): number => {
    const tookMs = Array.from({ length: 20 }, () => {
      const startMs = performance.now();
      expect(epoll.wait(timeoutMs)).toBe(0);
      return performance.now() - startMs;
    });
    return Math.min(...tookMs);
  };
  const fractionMs = shortestMs(0.2);
  expect(fractionMs).toBeGreaterThanOrEqual(0.2);
  expect(fractionMs).toBeLessThan(shortestMs(1));
});

test("a descriptor can change what it waits for, and leave", () => {
  expect(epoll.add(first, 1)).toBe(0);
  expect(epoll.add(first, 1)).toBe(-Errno.EEXIST);
  expect(epoll.modify(first, 2, EPOLLIN | EPOLLOUT)).toBe(0);
  expect(epoll.wait(1000)).toBe(1);
  expect(epoll.tag(0)).toBe(2);
  expect(epoll.events(0)).toBe(EPOLLOUT);
  expect(epoll.remove(first)).toBe(0);
  expect(epoll.wait(0)).toBe(0);
  expect(epoll.remove(first)).toBe(-Errno.ENOENT);
});

test("Bun's own set, nested in ours, wakes us when Bun has work, and Bun does it in one setImmediate", async () => {
  const bun = bunEpollFd();
  expect(bun).toBeGreaterThanOrEqual(0);
  expect(bun).not.toBe(epoll.fd);
  expect(epoll.add(bun, 99)).toBe(0);
  Bun.spawnSync(["true"]); // Leaves a second epoll set in the process: not the one asked for.
  let served = false;
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data: () => {
        served = true;
      },
    },
  });
  try {
    for (let turns = 0; epoll.wait(0) > 0; turns++) {
      expect(turns).toBeLessThan(100); // What Bun still had to do for the socket is soon done.
      await new Promise(setImmediate);
    }
    sendTo(first, bytes, 4, inetAddress(LOOPBACK, socket.port));
    expect(epoll.wait(1000)).toBe(1);
    expect(epoll.tag(0)).toBe(99);
    expect(served).toBe(false);
    await new Promise(setImmediate);
    expect(served).toBe(true);
  } finally {
    socket.close();
  }
});
