/** Expectations against a real kernel: committed, dumped and reported they are the same; what is refused, and why. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import type { Expectation } from "../../src/flow/expectation.ts";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import * as f from "../../src/flow/flow.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { KernelDelete } from "../../src/kernel/delete.ts";
import { ExpectationChanges } from "../../src/kernel/expectation-changes.ts";
import { ExpectationCommit } from "../../src/kernel/expectation-commit.ts";
import { ExpectationDump } from "../../src/kernel/expectation-dump.ts";
import { ExpectationEvents } from "../../src/kernel/expectation-events.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { address, makeExpectation } from "../make-expectation.ts";
import { HOST6, makeFlow, SERVER6 } from "../make-flow.ts";
import { unwrap } from "./kernel-table.ts";
import { RULES } from "./kernel-traffic.ts";

const FTP = f.portsWord(40_000, 21);
/** Of other sessions: the FTP helper allows one expectation a session. */
const [FTP2, FTP3] = [f.portsWord(40_002, 21), f.portsWord(40_003, 21)];
let lab: Lab;
let namespace: Namespace;
let commit: ExpectationCommit;
let events: ExpectationEvents;

beforeAll(async () => {
  lab = await Lab.create();
  namespace = await lab.namespace("expectations");
  await namespace.nft(RULES);
  commit = inside(namespace, () => unwrap(ExpectationCommit.open()));
  events = inside(namespace, () => unwrap(ExpectationEvents.open()));
  insertMasters();
});
afterAll(async () => {
  commit.close();
  events.close();
  await lab[Symbol.asyncDispose]();
});

/** FTP sessions of both families, with the helper. One has no expectation yet. */
const masters = [FTP, FTP2, FTP3].map((ports) => makeFlow({ ports })).concat(makeFlow({ ports: FTP, source: HOST6 }));
for (const master of masters) {
  master.words[f.HAS] |= f.HAS_HELPER;
  f.setHelperName(master.words, "ftp");
}

function insertMasters(): void {
  const flows = inside(namespace, () => unwrap(KernelCommit.open()));
  for (const [i, master] of masters.entries()) flows.add(master, i, 300);
  expect(flows.flush()).toBe(0);
  flows.close();
}

function dumped(): Expectation[] {
  const dump = inside(namespace, () => unwrap(ExpectationDump.start()));
  const all: Expectation[] = [];
  while (!dump.done) all.push(...unwrap(dump.next()));
  dump.close();
  return all;
}

function happened(): [boolean, Expectation][] {
  const all: [boolean, Expectation][] = [];
  while (events.receive((began, expectation) => all.push([began, expectation])) !== "drained");
  return all;
}

function commitAll(...expectations: readonly Expectation[]): [number, number][] {
  for (const [i, expectation] of expectations.entries()) commit.add(expectation, i);
  return Array.from({ length: commit.flush() }, (_, i) => [commit.refusedTag(i), commit.refusedErrno(i)]);
}

const withoutTime = ({ timeoutSeconds, ...rest }: Expectation) => ({ ...rest, hasTime: timeoutSeconds !== undefined });
const byLine = (expectations: readonly Expectation[]) =>
  expectations.map(withoutTime).sort((a, b) => (expectationLine(a, 0) < expectationLine(b, 0) ? -1 : 1));

const { master: master4, expected: expected4 } = makeExpectation(1);
const ipv6 = { family: 6, l4proto: 6 } as const;
const ports6 = { ...ipv6, source: address(HOST6), destination: address(SERVER6) };
const all1s = address([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]);
/** Passive and active, behind NAT and not, of both families, and one that stays after its use. */
const KINDS: readonly Expectation[] = [
  makeExpectation(2001),
  makeExpectation(2002, {
    master: { ...master4, ports: FTP2 },
    expected: { ...expected4, source: expected4.destination, destination: address([0xc6336464]), ports: 2002 },
    nat: {
      tuple: { ...expected4, source: address([0x0a000001]), destination: address([0]), ports: f.portsWord(2002, 0) },
      direction: "reply",
    },
    expectfn: "nat-follow-master",
  }),
  makeExpectation(2003, {
    master: { ...ports6, ports: FTP },
    expected: { ...ports6, ports: 2003 },
    mask: { ...ipv6, source: all1s, destination: all1s, ports: 0xffff },
    nat: {
      tuple: {
        ...ports6,
        source: address([0x20010db8, 7, 7, 7]),
        destination: address([0]),
        ports: f.portsWord(2003, 0),
      },
      direction: "orig",
    },
    expectfn: "nat-follow-master",
  }),
];

test("every kind is created whole, with the time it has left, and reported as begun", () => {
  expect(commitAll(...KINDS)).toEqual([]);
  expect(commit.committed).toBe(KINDS.length);
  const wanted = byLine(KINDS);
  expect(byLine(dumped())).toEqual(wanted);
  for (const { timeoutSeconds } of dumped()) expect(timeoutSeconds).toBeWithin(280, 301);
  const told = happened();
  expect(told.every(([began]) => began)).toBeTrue();
  expect(byLine(told.map(([, expectation]) => expectation))).toEqual(wanted);
});

test("one that stands gets the new time, and is still one", () => {
  expect(commitAll(...KINDS.map((kind) => ({ ...kind, timeoutSeconds: 40 })))).toEqual([]);
  expect(byLine(dumped())).toEqual(byLine(KINDS));
  for (const { timeoutSeconds } of dumped()) expect(timeoutSeconds).toBeWithin(20, 41);
});

test.each([
  ["whose master is not there", { master: { ...master4, ports: 1 } }, Errno.ENOENT],
  ["whose function this host lacks", { expectfn: "nosuch" }, Errno.EINVAL],
  ["of a class that the helper does not have", { class: 9 }, Errno.EINVAL],
] as const)("one %s is refused, and the others are not", (_, wrong, errno) => {
  expect(commitAll(makeExpectation(3000, { master: { ...master4, ports: FTP3 }, ...wrong }), KINDS[0]!)).toEqual([
    [0, errno],
  ]);
  expect(dumped()).toHaveLength(KINDS.length);
});

test("of one session a newer one takes the place of an older one, as the helper has it, and that is reported", () => {
  happened();
  const [first, second] = [3001, 3002].map((port) => makeExpectation(port, { master: { ...master4, ports: FTP3 } }));
  expect(commitAll(first!, second!)).toEqual([]);
  const told = happened().map(([began, { expected }]) => [began, expected.ports]);
  expect(told).toEqual([
    [true, 3001],
    [false, 3001],
    [true, 3002],
  ]);
});

test("timers are set and expectations deleted by request, and of a deletion nobody hears who does not want to", () => {
  const changes = inside(namespace, () => unwrap(ExpectationChanges.open()));
  unwrap(events.ignorePortIds([changes.portId]));
  happened();
  const standing = makeExpectation(3_002, { master: { ...master4, ports: FTP3 } });
  const { timeoutSeconds: _, ...untimed } = standing;
  for (const [i, one] of [{ ...standing, timeoutSeconds: 30 }, untimed, makeExpectation(9)].entries())
    changes.renew(one, i);
  expect([changes.flush(), changes.refusedTag(0), changes.refusedErrno(0)]).toEqual([1, 2, Errno.ENOENT]);
  const timeOf = (port: number) => dumped().find(({ expected }) => expected.ports === port)?.timeoutSeconds;
  expect(timeOf(3_002)).toBeWithin(20, 31);
  expect(dumped()).toHaveLength(KINDS.length + 1); // None was made.
  for (let again = 0; again < 2; again++) changes.delete(standing, again);
  expect([changes.flush(), changes.refusedTag(0), changes.refusedErrno(0)]).toEqual([1, 1, Errno.ENOENT]);
  expect(byLine(dumped())).toEqual(byLine(KINDS));
  expect(happened()).toEqual([]);
  expect(commitAll(standing)).toEqual([]);
  expect(happened()).toHaveLength(1);
  changes.close();
});

test("with their master they end, and that is reported", () => {
  happened();
  const deletion = inside(namespace, () => unwrap(KernelDelete.open()));
  for (const master of masters.slice(0, 2)) deletion.add(master, 0);
  expect(deletion.flush()).toBe(0);
  deletion.close();
  const ended = happened();
  expect(ended.map(([began]) => began)).toEqual([false, false]);
  expect(byLine(ended.map(([, expectation]) => expectation))).toEqual(byLine(KINDS.slice(0, 2)));
  expect(dumped()).toHaveLength(2);
  expect([events.malformed, events.overruns]).toEqual([0, 0]);
});
