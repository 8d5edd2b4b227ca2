/** Commit against a real kernel: every kind of flow, over nothing and over itself, and what is refused and why. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import { Attribute, ConntrackObject } from "../../ffi/libnetfilter-conntrack.ts";
import * as f from "../../src/flow/flow.ts";
import * as status from "../../src/flow/status.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_NONE, EVENT_UPDATE, KernelEvents } from "../../src/kernel/events.ts";
import { explainRefusal } from "../../src/kernel/explain-errno.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { findEntry, rawTable, table, unwrap } from "./kernel-table.ts";
import { EVERY_KIND, flowOf, PORTS, RULES, sendPackets, type Wanted } from "./kernel-traffic.ts";

const TCP: Wanted = { l4proto: 6, state: 3 };
let lab: Lab;

beforeAll(async () => {
  lab = await Lab.create();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

let namespaces = 0;
async function fresh(rules: string): Promise<{ namespace: Namespace; commit: KernelCommit }> {
  const namespace = await lab.namespace(`commit${++namespaces}`);
  await namespace.nft(rules);
  return { namespace, commit: inside(namespace, () => unwrap(KernelCommit.open())) };
}

/** Commits flows one flush; the refusals as [tag, errno]. */
function commitAll(commit: KernelCommit, flows: readonly f.Flow[], timeoutSeconds = 300): [number, number][] {
  for (const [i, flow] of flows.entries()) commit.add(flow, i, timeoutSeconds);
  return Array.from({ length: commit.flush() }, (_, i) => [commit.refusedTag(i), commit.refusedErrno(i)]);
}

/** The kernel makes room for SYN proxy values in every entry it creates for us, and reports them as zeros. */
function withoutEmptySynproxy(words: Uint32Array): number[] {
  const copy = Array.from(words);
  if (copy.slice(f.SYNPROXY, f.SYNPROXY + 3).every((word) => word === 0)) copy[f.HAS] &= ~f.HAS_SYNPROXY;
  return copy;
}

/** All that a committed entry must have in common with its flow: everything but what time and NAT set-up change. */
function comparable(words: Uint32Array): number[] {
  const copy = withoutEmptySynproxy(words);
  copy[f.STATUS] &= status.IPS_SEEN_REPLY | status.IPS_ASSURED | status.IPS_CONFIRMED;
  copy[f.TIMEOUT] = 0;
  // The kernel reports window scales of every TCP flow, 0 where it knows none; and nothing that is committed is checked.
  if (f.l4protoOf(words[f.PROTO]) === f.IPPROTO_TCP) copy[f.HAS] |= f.HAS_WSCALE | f.HAS_LIBERAL;
  return copy;
}

const NAT_DONE = status.IPS_SRC_NAT_DONE | status.IPS_DST_NAT_DONE;

/** The NAT bits the kernel gives an entry with these tuples. */
function natBits(words: Uint32Array): number {
  const differs = (a: number, b: number): boolean => [0, 1, 2, 3].some((i) => words[a + i] !== words[b + i]);
  const icmp = f.isIcmp(f.l4protoOf(words[f.PROTO]));
  const [orig, reply] = [words[f.ORIG_PORTS], words[f.REPLY_PORTS]];
  const sourcePort = icmp ? orig >>> 16 !== reply >>> 16 : orig >>> 16 !== (reply & 0xffff);
  const destinationPort = !icmp && (orig & 0xffff) !== reply >>> 16;
  const source = differs(f.ORIG_SRC, f.REPLY_DST) || sourcePort;
  const destination = differs(f.ORIG_DST, f.REPLY_SRC) || destinationPort;
  if (!source && !destination) return 0;
  return (source ? status.IPS_SRC_NAT : 0) | (destination ? status.IPS_DST_NAT : 0) | NAT_DONE;
}

describe("every kind of flow", () => {
  let namespace: Namespace;
  let commit: KernelCommit;
  let events: KernelEvents;
  beforeAll(async () => {
    ({ namespace, commit } = await fresh(RULES));
    events = inside(namespace, () => unwrap(KernelEvents.open({ bufferBytes: 1 << 20, bufferMaxBytes: 1 << 20 })));
  });
  afterAll(() => {
    commit.close();
    events.close();
  });
  const flows = EVERY_KIND.map(([, wanted]) => flowOf(wanted));

  function kinds(): number[] {
    const counts = [0, 0, 0, 0];
    const flow = new f.Flow();
    while (events.receive() > 0)
      for (let kind = events.next(flow); kind !== EVENT_NONE; kind = events.next(flow)) counts[kind]++;
    return counts;
  }

  test("is created whole, in one event each", () => {
    // The master must stand before what refers to it.
    expect(commitAll(commit, flows.slice(0, 1))).toEqual([]);
    expect(commitAll(commit, flows.slice(1))).toEqual([]);
    expect(commit.committed).toBe(flows.length);
    const counts = kinds();
    expect(counts[EVENT_NEW]).toBe(flows.length);
    expect(counts[EVENT_DESTROY]).toBe(0);
  });

  test.each(EVERY_KIND.map(([name], i) => [name, i] as const))("%s: the entry is the flow", (_, i) => {
    const entry = findEntry(table(namespace), flows[i]);
    expect(comparable(entry)).toEqual(comparable(flows[i].words));
    expect(entry[f.TIMEOUT]).toBeWithin(270, 301);
    const nat = status.IPS_SRC_NAT | status.IPS_DST_NAT | NAT_DONE;
    expect(entry[f.STATUS] & nat).toBe(natBits(flows[i].words));
    expect((entry[f.STATUS] & status.IPS_EXPECTED) !== 0).toBe(flows[i].has(f.HAS_MASTER));
  });

  test("TCP goes on whatever its sequence numbers: both directions of every entry are liberal", () => {
    const [liberal, scaled] = [0x08, 0x01];
    const messages = rawTable(namespace);
    expect(messages.length).toBe(flows.length);
    for (const message of messages) {
      const ct = new ConntrackObject();
      expect(ct.parse(message)).toBe(true);
      const isTcp = ct.has(Attribute.TCP_STATE);
      const scales = ct.u8(Attribute.TCP_WSCALE_ORIG) | ct.u8(Attribute.TCP_WSCALE_REPL);
      const wanted = isTcp ? (scales !== 0 ? liberal | scaled : liberal) : 0;
      expect([ct.u8(Attribute.TCP_FLAGS_ORIG), ct.u8(Attribute.TCP_FLAGS_REPL)]).toEqual([wanted, wanted]);
      ct.destroy();
    }
  });

  test("is updated in place when it stands: timeout, mark and state change, nothing is deleted", () => {
    for (const flow of flows) flow.words[f.MARK] += 1000;
    for (const flow of flows)
      if (flow.l4proto === f.IPPROTO_TCP) flow.words[f.INFO] = (flow.words[f.INFO] & 0xffff00) | 4;
    expect(commitAll(commit, flows, 600)).toEqual([]);
    const counts = kinds();
    expect(counts[EVENT_NEW]).toBe(0);
    expect(counts[EVENT_DESTROY]).toBe(0);
    expect(counts[EVENT_UPDATE]).toBeGreaterThanOrEqual(flows.length);
    const entries = table(namespace);
    for (const flow of flows) {
      const entry = findEntry(entries, flow);
      expect(comparable(entry)).toEqual(comparable(flow.words));
      expect(entry[f.TIMEOUT]).toBeWithin(570, 601);
    }
    expect(entries.length).toBe(flows.length);
  });

  test("events of the commit's own socket do not reach whoever ignores it, events of another do", () => {
    const open = () => unwrap(KernelEvents.open({ bufferBytes: 1 << 20, bufferMaxBytes: 1 << 20 }));
    const [quiet, other] = inside(namespace, () => [open(), unwrap(KernelCommit.open())] as const);
    unwrap(quiet.ignorePortIds([0x01020304, commit.portId]));
    kinds(); // What is told of earlier tests.
    expect(commitAll(commit, flows)).toEqual([]);
    expect(kinds()[EVENT_UPDATE]).toBeGreaterThanOrEqual(flows.length);
    expect(quiet.receive()).toBe(-Errno.EAGAIN);
    expect(commitAll(other, flows)).toEqual([]);
    expect(quiet.receive()).toBeGreaterThan(0);
    quiet.close();
    other.close();
  });
});

test("TCP in each of its states is created in it, and goes over to it where it stands in another one", async () => {
  const { namespace, commit } = await fresh(RULES);
  const states = [1, 2, 3, 4, 5, 6, 7, 8, 9]; // SYN_SENT to CLOSE, and SYN_SENT2
  const inState = (state: number): f.Flow => flowOf({ ...TCP, source: state, state });
  const stateOf = (state: number): number => findEntry(table(namespace), inState(state))[f.INFO] & 0xff;
  expect(commitAll(commit, states.map(inState))).toEqual([]);
  expect(states.map(stateOf)).toEqual(states);
  const next = states.map((state) => flowOf({ ...TCP, source: state, state: (state % states.length) + 1 }));
  expect(commitAll(commit, next)).toEqual([]);
  expect(states.map(stateOf)).toEqual(states.map((state) => (state % states.length) + 1));
  commit.close();
});

test("a flow that real NAT made is committed to the very same entry", async () => {
  const { namespace, commit } = await fresh(RULES);
  sendPackets(namespace);
  const before = table(namespace).filter((entry) => natBits(entry) !== 0);
  expect(before.length).toBe(4);
  await namespace.run(["conntrack", "-F"]);
  const flows = before.map((entry) => {
    const flow = new f.Flow();
    flow.words.set(entry);
    return flow;
  });
  expect(commitAll(commit, flows)).toEqual([]);
  const after = table(namespace);
  for (const flow of flows) {
    const entry = findEntry(after, flow);
    entry[f.TIMEOUT] = flow.words[f.TIMEOUT];
    expect(withoutEmptySynproxy(entry)).toEqual(withoutEmptySynproxy(flow.words));
  }
  commit.close();
});

test("a related flow whose master is not there is refused, with the reason; the others go in", async () => {
  const { namespace, commit } = await fresh(RULES);
  const orphan = flowOf({ ...TCP, source: 9, master: [77, PORTS] });
  expect(commitAll(commit, [flowOf(TCP), orphan, flowOf({ ...TCP, source: 2 })])).toEqual([[1, Errno.ENOENT]]);
  expect(explainRefusal(Errno.ENOENT)).toBe("ENOENT: its master is not in the kernel");
  expect(table(namespace).length).toBe(2);
  expect([commit.committed, commit.refused]).toEqual([2, 1]);
  commit.close();
});

test("a flow whose reply tuple belongs to another is refused, not put on another port", async () => {
  const { namespace, commit } = await fresh(RULES);
  const first = flowOf({ ...TCP, source: 5, replyDestination: 9 });
  const second = flowOf({ ...TCP, source: 6, replyDestination: 9 });
  expect(commitAll(commit, [first, second])).toEqual([[1, Errno.EEXIST]]);
  expect(commitAll(commit, [first, second])).toEqual([[1, Errno.EEXIST]]);
  expect(table(namespace).length).toBe(1);
  commit.close();
});

test("GRE with translated keys, which the kernel cannot set up, is refused", async () => {
  const { namespace, commit } = await fresh(RULES);
  const wanted = { l4proto: 47, ports: f.portsWord(0, 5), replyPorts: f.portsWord(6, 0) };
  expect(commitAll(commit, [flowOf(wanted), flowOf(TCP)])).toEqual([[0, Errno.EOPNOTSUPP]]);
  expect(table(namespace).length).toBe(1);
  commit.close();
});

test("a helper this host lacks costs the helper, not the flow", async () => {
  const { namespace, commit } = await fresh(RULES);
  const flows = [1, 2, 3].map((source) => flowOf({ ...TCP, source, helper: "nosuchhelper" }));
  expect(commitAll(commit, flows)).toEqual([]);
  expect(commit.helpersLost).toBe(3);
  expect(table(namespace).length).toBe(3);
  expect(commitAll(commit, flows)).toEqual([]);
  expect(commit.helpersLost).toBe(6);
  commit.close();
});

test("a standing entry keeps the helper it has; that ours is lost is counted", async () => {
  const { namespace, commit } = await fresh(RULES);
  const ftp = { ...TCP, ports: f.portsWord(1000, 21) };
  expect(commitAll(commit, [flowOf(ftp)])).toEqual([]);
  expect(commitAll(commit, [flowOf({ ...ftp, helper: "ftp", mark: 5 })])).toEqual([]);
  expect(commit.helpersLost).toBe(1);
  const entry = findEntry(table(namespace), flowOf(ftp));
  expect([entry[f.MARK], entry[f.HELPER]]).toEqual([5, 0]);
  commit.close();
});

test("labels are lost, and counted, where no rule uses labels", async () => {
  const plain = "table inet t {\n chain o {\n type filter hook output priority 0;\n ct state new accept\n }\n}\n";
  const { namespace, commit } = await fresh(plain);
  const flows = [1, 2, 3].map((source) => flowOf({ ...TCP, source, label: 70 }));
  expect(commitAll(commit, flows)).toEqual([]);
  expect(commit.labelsLost).toBe(3);
  expect(commitAll(commit, flows)).toEqual([]);
  expect(commit.labelsLost).toBe(6);
  expect(table(namespace).every((entry) => entry[f.LABELS + 2] === 0)).toBe(true);
  await namespace.nft(
    "table inet u {\n chain o {\n type filter hook output priority 0;\n udp dport 1 ct label set 1\n }\n}\n",
  );
  commit.start();
  expect(commitAll(commit, [flowOf({ ...TCP, source: 4, label: 70 })])).toEqual([]);
  expect(commit.labelsLost).toBe(6);
  commit.close();
});

test("an entry that is assured and saw a reply stays so, and takes the rest", async () => {
  const { namespace, commit } = await fresh(RULES);
  for (const wanted of [TCP, { ...TCP, source: 5, replyDestination: 9 }]) {
    expect(commitAll(commit, [flowOf(wanted)])).toEqual([]);
    expect(commitAll(commit, [flowOf({ ...wanted, status: status.IPS_CONFIRMED, mark: 9 })])).toEqual([]);
    const entry = findEntry(table(namespace), flowOf(wanted));
    expect(entry[f.MARK]).toBe(9);
    expect(entry[f.STATUS] & (status.IPS_ASSURED | status.IPS_SEEN_REPLY)).toBe(
      status.IPS_ASSURED | status.IPS_SEEN_REPLY,
    );
  }
  commit.close();
});

test("a full batch over a table where every second flow stands misses none", async () => {
  const { namespace, commit } = await fresh(RULES);
  const flows = Array.from({ length: 600 }, (_, i) =>
    flowOf({ ...TCP, source: 1000 + i, replyDestination: 5000 + i, ...(i % 3 === 0 ? { master: [1, PORTS] } : {}) }),
  );
  expect(commitAll(commit, [flowOf(TCP)])).toEqual([]);
  for (const step of [2, 1, 1]) {
    let refused = 0;
    for (let i = 0; i < flows.length; i += step) {
      if (!commit.hasRoom()) refused += commit.flush();
      commit.add(flows[i], i, 300);
    }
    expect(refused + commit.flush()).toBe(0);
  }
  const entries = table(namespace);
  for (const flow of flows) expect(comparable(findEntry(entries, flow))).toEqual(comparable(flow.words));
  expect(entries.length).toBe(601);
  commit.close();
});
