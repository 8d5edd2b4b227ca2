/** Events and dumps of a real kernel: what comes, what is lost and said so, and dumps that stop and go on. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { bind, netlinkPortId, openSocket, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_NETLINK, netlinkAddress } from "../../ffi/socket-address.ts";
import * as f from "../../src/flow/flow.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { DUMP_DONE, DUMP_FAILED, DUMP_FLOW, KernelDump } from "../../src/kernel/dump.ts";
import {
  EVENT_DESTROY,
  EVENT_NEW,
  EVENT_NONE,
  EVENT_UPDATE,
  type EventOptions,
  KernelEvents,
} from "../../src/kernel/events.ts";
import { inside } from "../lab/enter.ts";
import { shapeFlow } from "../lab/generate.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { unwrap } from "./kernel-table.ts";
import { flowOf, RULES } from "./kernel-traffic.ts";

const SHAPE = { l4proto: f.IPPROTO_TCP, ipv6: false, snat: false, mark: 0 };
const ROOM: EventOptions = { bufferBytes: 1 << 20, bufferMaxBytes: 1 << 22 };
const NETLINK_NETFILTER = 12;
let lab: Lab;
let namespace: Namespace;
let commit: KernelCommit;

beforeAll(async () => {
  lab = await Lab.create();
  namespace = await lab.namespace("events");
  await namespace.nft(RULES);
  commit = inside(namespace, () => unwrap(KernelCommit.open()));
});
afterAll(async () => {
  commit.close();
  await lab[Symbol.asyncDispose]();
});

const subscribe = (options: EventOptions): KernelEvents => inside(namespace, () => unwrap(KernelEvents.open(options)));

function insert(from: number, to: number): void {
  const flow = new f.Flow();
  for (let i = from; i < to; i++) {
    if (!commit.hasRoom()) expect(commit.flush()).toBe(0);
    shapeFlow(flow, i, SHAPE);
    commit.add(flow, i, 300);
  }
  expect(commit.flush()).toBe(0);
}

test("a flow's life is a new, an update and a destroy event", () => {
  const events = subscribe(ROOM);
  const flow = flowOf({ l4proto: 6, source: 900, state: 3 });
  const deletion = inside(namespace, () => unwrap(KernelDelete.open()));
  for (const mark of [1, 2]) {
    flow.words[f.MARK] = mark;
    commit.add(flow, 0, 300);
    expect(commit.flush()).toBe(0);
  }
  deletion.add(flow, 0);
  expect(deletion.flush()).toBe(0);
  const seen: number[] = [];
  const event = new f.Flow();
  while (events.receive() > 0) {
    for (let kind = events.next(event); kind !== EVENT_NONE; kind = events.next(event)) {
      seen.push(kind);
      expect(Array.from(event.words.subarray(0, f.HAS))).toEqual(Array.from(flow.words.subarray(0, f.HAS)));
    }
  }
  expect(seen).toEqual([EVENT_NEW, EVENT_UPDATE, EVENT_DESTROY]);
  expect([events.received, events.malformed, events.unknown, events.truncated]).toEqual([3, 0, 0, 0]);
  expect(events.receive()).toBe(-Errno.EAGAIN);
  events.close();
  deletion.close();
});

test("events lost to a full buffer are told, and the buffer grows up to its limit", () => {
  const events = subscribe({ bufferBytes: 65_536, bufferMaxBytes: 200_000 });
  expect(events.bufferBytes).toBe(65_536);
  const flow = new f.Flow();
  const sizes: number[] = [];
  for (let round = 0; round < 4; round++) {
    insert(round * 3000, (round + 1) * 3000);
    let answer = events.receive();
    for (; answer > 0 || answer === -Errno.ENOBUFS; answer = events.receive()) {
      while (events.next(flow) !== EVENT_NONE);
    }
    expect(answer).toBe(-Errno.EAGAIN);
    sizes.push(events.bufferBytes);
  }
  expect(events.overruns).toBe(4);
  expect(sizes).toEqual([131_072, 200_000, 200_000, 200_000]);
  expect(events.received).toBeLessThan(12_000);
  events.close();
});

test("what is no conntrack message, or lies about its length, raises one counter and no event", () => {
  const events = subscribe(ROOM);
  const liar = inside(namespace, () => openSocket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  expect(bind(liar, netlinkAddress(0, 0))).toBe(0);
  const target = netlinkAddress(netlinkPortId(events.fd), 0);
  const message = new Uint8Array(new ArrayBuffer(64));
  const view = new DataView(message.buffer);
  const send = (lengthBytes: number, type: number): void => {
    view.setUint32(0, lengthBytes, true);
    view.setUint16(4, type, true);
    view.setUint8(16, 2);
    expect(sendTo(liar, message, 32, target)).toBe(32);
  };
  send(32, 0x100); // no tuples
  send(64, 0x100); // longer than what came
  send(4, 0x100); // shorter than its own header
  send(32, 0x0203); // another subsystem's
  const flow = new f.Flow();
  let kinds = 0;
  while (events.receive() > 0) while (events.next(flow) !== EVENT_NONE) kinds++;
  expect([kinds, events.malformed, events.unknown, events.received]).toEqual([0, 3, 1, 0]);
  expect(sendTo(liar, new Uint8Array(2000), 2000, target)).toBe(2000);
  while (events.receive() > 0) while (events.next(flow) !== EVENT_NONE) kinds++;
  expect([kinds, events.truncated]).toEqual([0, 1]);
  close(liar);
  events.close();
});

test("a buffer that was capped is a warning that says how to raise it", () => {
  const events = subscribe(ROOM);
  expect(events.bufferWarning(ROOM.bufferBytes)).toBeUndefined();
  expect(events.bufferWarning(1 << 30)).toEqual({ kind: "buffer-capped", wantedBytes: 1 << 30, grantedBytes: 1 << 20 });
  events.close();
});

test("a dump taken a few flows at a time holds every flow once, both families", () => {
  insert(0, 5000);
  const ipv6 = flowOf({ ipv6: true, l4proto: 17 });
  commit.add(ipv6, 0, 300);
  expect(commit.flush()).toBe(0);
  const dump = new KernelDump();
  expect(inside(namespace, () => dump.start()).ok).toBe(true);
  expect(dump.fd).toBeGreaterThan(0);
  const flow = new f.Flow();
  const seen = new Set<string>();
  let families = 0;
  let step = dump.next(flow);
  for (; step === DUMP_FLOW; step = dump.next(flow)) {
    families |= flow.family;
    seen.add(flow.words.subarray(0, f.KEY_WORDS).join());
    if (seen.size === 2000) insert(5000, 5010); // Between two slices, the table goes on changing.
  }
  expect(step).toBe(DUMP_DONE);
  expect(dump.running).toBe(false);
  expect(families).toBe(4 | 6);
  const wanted = new f.Flow();
  for (let i = 0; i < 5000; i++) {
    shapeFlow(wanted, i, SHAPE);
    expect(seen.has(wanted.words.subarray(0, f.KEY_WORDS).join())).toBe(true);
  }
});

test("a dump given up midway starts again from the beginning", () => {
  const dump = new KernelDump();
  const flow = new f.Flow();
  const counts = [0, 0];
  for (const round of [0, 1]) {
    expect(inside(namespace, () => dump.start()).ok).toBe(true);
    while (dump.next(flow) === DUMP_FLOW) if (++counts[round] === 100 && round === 0) break;
  }
  expect(counts[0]).toBe(100);
  expect(counts[1]).toBeGreaterThan(5000);
  expect([DUMP_DONE, DUMP_FAILED]).toContain(dump.next(flow));
});
