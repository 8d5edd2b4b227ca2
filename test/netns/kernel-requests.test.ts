/** Deletion, timers and look-ups against a real kernel. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import * as f from "../../src/flow/flow.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { EVENT_NONE, EVENT_UPDATE, KernelEvents } from "../../src/kernel/events.ts";
import type { FlowRequests } from "../../src/kernel/flow-requests.ts";
import { KernelLookup } from "../../src/kernel/lookup.ts";
import { KernelTimers } from "../../src/kernel/timers.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { findEntry, table, unwrap } from "./kernel-table.ts";
import { EVERY_KIND, flowOf, RULES } from "./kernel-traffic.ts";

const flows = EVERY_KIND.map(([, wanted]) => flowOf(wanted));
let lab: Lab;
let namespace: Namespace;
/** Listens before the first flow is made: an entry made while nobody listens never raises an event. */
let events: KernelEvents;

beforeAll(async () => {
  lab = await Lab.create();
  namespace = await lab.namespace("requests");
  await namespace.nft(RULES);
  events = inside(namespace, () => unwrap(KernelEvents.open({ bufferBytes: 1 << 20, bufferMaxBytes: 1 << 20 })));
  const commit = inside(namespace, () => unwrap(KernelCommit.open()));
  for (const [i, flow] of flows.entries()) {
    commit.add(flow, i, 300);
    expect(commit.flush()).toBe(0);
  }
  commit.close();
});
afterAll(async () => {
  events.close();
  await lab[Symbol.asyncDispose]();
});

/** Flushes; the refusals as [tag, errno]. */
const refusals = (requests: FlowRequests): [number, number][] =>
  Array.from({ length: requests.flush() }, (_, i) => [requests.refusedTag(i), requests.refusedErrno(i)]);

/** A flow the kernel does not hold. */
const stranger = flowOf({ l4proto: 6, source: 99 });

test("shorter timers change the timeout of every kind of flow and nothing else, in one update event each", () => {
  const before = table(namespace);
  while (events.receive() > 0); // What the insertion raised.
  const timers = inside(namespace, () => unwrap(KernelTimers.open()));
  for (const [i, flow] of flows.entries()) timers.add(flow, i, 60);
  timers.add(stranger, 1234, 60);
  expect(refusals(timers)).toEqual([[1234, Errno.ENOENT]]);
  const after = table(namespace);
  expect(after.length).toBe(before.length);
  for (const flow of flows) {
    const entry = findEntry(after, flow);
    expect(entry[f.TIMEOUT]).toBeWithin(30, 61);
    entry[f.TIMEOUT] = findEntry(before, flow)[f.TIMEOUT];
    expect(Array.from(entry)).toEqual(Array.from(findEntry(before, flow)));
  }
  const event = new f.Flow();
  let updates = 0;
  while (events.receive() > 0) {
    for (let kind = events.next(event); kind !== EVENT_NONE; kind = events.next(event)) {
      expect(kind).toBe(EVENT_UPDATE);
      updates++;
    }
  }
  expect(updates).toBe(flows.length);
  timers.close();
});

test("a look-up shows what a dump shows of each flow, and nothing of flows that run the other way", () => {
  const lookup = inside(namespace, () => unwrap(KernelLookup.open()));
  for (const flow of flows) lookup.add(flow);
  expect(lookup.ask()).toBe(0);
  expect(lookup.asked).toBe(flows.length);
  const entries = table(namespace);
  for (const [i, flow] of flows.entries()) {
    const found = lookup.found(i)!.words.slice();
    const dumped = findEntry(entries, flow);
    found[f.TIMEOUT] = dumped[f.TIMEOUT];
    expect(Array.from(found)).toEqual(Array.from(dumped));
  }

  const [flow] = flows;
  const reversed = new f.Flow();
  reversed.copyFrom(flow);
  reversed.words.copyWithin(f.ORIG_SRC, f.REPLY_SRC, f.REPLY_PORTS + 1);
  const elsewhere = flowOf({ l4proto: 6, source: 19, zone: 4 }); // There, but in zone 5.
  for (const wanted of [stranger, flow, reversed, elsewhere]) lookup.add(wanted);
  expect(lookup.ask()).toBe(0);
  expect([0, 1, 2, 3].map((i) => lookup.found(i) !== undefined)).toEqual([false, true, false, false]);
  while (lookup.hasRoom()) lookup.add(flow);
  expect(lookup.ask()).toBe(0);
  for (let i = 0; i < lookup.asked; i++) expect(lookup.found(i)).toBeDefined();
  expect(events.receive()).toBe(-Errno.EAGAIN);
  lookup.close();
});

test("deletion takes the named flows, leaves the others, and says which were gone already", () => {
  const deletion = inside(namespace, () => unwrap(KernelDelete.open()));
  const masterless = flows.filter((flow) => !flow.has(f.HAS_MASTER));
  const kept = masterless.pop()!;
  for (const [i, flow] of masterless.entries()) deletion.add(flow, i);
  deletion.add(stranger, 77);
  expect(refusals(deletion)).toEqual([[77, Errno.ENOENT]]);
  const left = table(namespace);
  expect(findEntry(left, kept)).toBeDefined();
  for (const flow of masterless) expect(() => findEntry(left, flow)).toThrow();
  deletion.close();
});
