import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { hasNetAdmin } from "./capability.ts";
import { Errno } from "./errno.ts";
import { interfaceIndex, interfaceMtuBytes, interfaceRunning } from "./interface.ts";
import { close, lockExclusive } from "./libc.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import {
  bind,
  connect,
  localPort,
  netlinkPortId,
  openSocket,
  receive,
  SOCK_DGRAM,
  SOCK_RAW,
  send,
  sendTo,
} from "./socket.ts";
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  inet6Address,
  inetAddress,
  netlinkAddress,
  unixAddress,
} from "./socket-address.ts";
import { bindToDevice, getOption, Option, setOption, socketDrops } from "./socket-options.ts";

const LOOPBACK = 0x7f000001;
const NETLINK_ROUTE = 0;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const KERNEL = netlinkAddress(0, 0);

/** A link dump request: the smallest question every kernel answers in every namespace. */
function linkDump(): Uint8Array {
  const message = new Uint8Array(32);
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  view.setUint32(8, 77, true);
  return message;
}

function withSocket(family: number, type: number, protocol: number, use: (fd: number) => void): void {
  const fd = openSocket(family, type, protocol);
  expect(fd).toBeGreaterThanOrEqual(0);
  try {
    use(fd);
  } finally {
    close(fd);
  }
}

test("a netlink socket has a port id, and the kernel answers it as 0", () => {
  withSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, (fd) => {
    expect(bind(fd, netlinkAddress(0, 0))).toBe(0);
    expect(netlinkPortId(fd)).toBeGreaterThan(0);
    expect(sendTo(fd, linkDump(), 32, KERNEL)).toBe(32);
    const batch = new ReceiveBatch(4, 32_768, { source: true });
    expect(batch.receive(fd)).toBeGreaterThan(0);
    expect(batch.sourceFamily(0)).toBe(AF_NETLINK);
    expect(batch.sourcePortId(0)).toBe(0);
    expect(batch.view.getUint32(batch.offset(0) + 8, true)).toBe(77);
    expect(batch.view.getUint32(batch.offset(0) + 12, true)).toBe(netlinkPortId(fd));
  });
});

test("options are set and read back; an unsuited one is refused", () => {
  withSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, (fd) => {
    expect(setOption(fd, Option.SO_RCVBUFFORCE, 8 << 20)).toBe(0);
    expect(getOption(fd, Option.SO_RCVBUF)).toBe(16 << 20);
    expect(setOption(fd, Option.NETLINK_NO_ENOBUFS, 1)).toBe(0);
    expect(getOption(fd, Option.NETLINK_NO_ENOBUFS)).toBe(1);
  });
  withSocket(AF_INET6, SOCK_DGRAM, 0, (fd) => {
    expect(setOption(fd, Option.IPV6_V6ONLY, 1)).toBe(0);
    expect(getOption(fd, Option.IPV6_V6ONLY)).toBe(1);
    expect(setOption(fd, Option.NETLINK_NO_ENOBUFS, 1)).toBe(-Errno.ENOPROTOOPT);
    expect(bindToDevice(fd, "cts-absent")).toBe(-Errno.ENODEV);
    expect(bindToDevice(fd, "lo")).toBe(0);
    expect(bind(fd, inet6Address([0, 0, 0, 1], 0))).toBe(0);
  });
});

test("what a full receive buffer dropped is counted by the kernel", () => {
  withSocket(AF_INET, SOCK_DGRAM, 0, (fd) => {
    expect(bind(fd, inetAddress(LOOPBACK, 0))).toBe(0);
    const self = inetAddress(LOOPBACK, localPort(fd));
    const datagram = new Uint8Array(1400);
    expect(setOption(fd, Option.SO_RCVBUF, 8192)).toBe(0);
    for (let i = 0; i < 100; i++) expect(sendTo(fd, datagram, datagram.length, self)).toBe(datagram.length);
    let received = 0;
    while (receive(fd, datagram) > 0) received++;
    expect(received).toBeGreaterThan(0);
    expect(socketDrops(fd)).toBe(100 - received);
  });
});

test("a message reaches a unix socket by path and by abstract name", () => {
  const directory = mkdtempSync(`${tmpdir()}/ctsync-socket-`);
  try {
    for (const path of [`${directory}/notify`, `@ctsync-test-${process.pid}`]) {
      const address = unixAddress(path)!;
      withSocket(AF_UNIX, SOCK_DGRAM, 0, (receiver) => {
        expect(bind(receiver, address)).toBe(0);
        withSocket(AF_UNIX, SOCK_DGRAM, 0, (sender) => {
          const text = new TextEncoder().encode("READY=1");
          const into = new Uint8Array(32);
          expect(sendTo(sender, text, text.length, address)).toBe(7);
          expect(receive(receiver, into)).toBe(7);
          expect(new TextDecoder().decode(into.subarray(0, 7))).toBe("READY=1");
          expect(connect(sender, address)).toBe(0);
          expect(send(sender, text, 5)).toBe(5);
          expect(receive(receiver, into.subarray(8, 10))).toBe(5); // Longer than the room: cut, and told.
          expect([...into.subarray(7, 11)]).toEqual([0, 0x52, 0x45, 0]);
          expect(receive(receiver, into)).toBe(-Errno.EAGAIN);
        });
      });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  expect(unixAddress("x".repeat(200))).toBeUndefined();
});

test("an interface has an index, an MTU and a state; one that is absent has none", () => {
  expect(interfaceIndex("lo")).toBeGreaterThan(0);
  expect(interfaceMtuBytes("lo")).toBe(65_536);
  expect(interfaceRunning("lo")).toBe(1);
  expect(interfaceIndex("cts-absent")).toBe(-Errno.ENODEV);
  expect(interfaceMtuBytes("cts-absent")).toBe(-Errno.ENODEV);
  expect(interfaceRunning("cts-absent")).toBe(-Errno.ENODEV);
});

test("a lock is held by one descriptor at a time", () => {
  const directory = mkdtempSync(`${tmpdir()}/ctsync-lock-`);
  const [first, second] = [openSync(`${directory}/lock`, "w"), openSync(`${directory}/lock`, "w")];
  try {
    expect(lockExclusive(first)).toBe(0);
    expect(lockExclusive(second)).toBe(-Errno.EAGAIN);
    closeSync(first);
    expect(lockExclusive(second)).toBe(0);
  } finally {
    closeSync(second);
    rmSync(directory, { recursive: true });
  }
});

test("CAP_NET_ADMIN is seen when it is there and missed when it is not", () => {
  const report = `import { hasNetAdmin } from "${import.meta.dirname}/capability.ts"; console.log(hasNetAdmin())`;
  const ask = (...dropping: string[]): string =>
    Bun.spawnSync([...dropping, process.execPath, "-e", report])
      .stdout.toString()
      .trim();
  expect(ask("setpriv", "--bounding-set=-net_admin")).toBe("false");
  expect(ask()).toBe(String(hasNetAdmin()));
});
