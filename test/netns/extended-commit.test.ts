/**
 * Full fidelity from kernel to kernel: what one kernel holds is told as to an extended peer, committed to another kernel, and
 * read back there as the same entry, GRE keys, UDP-Lite ports and zones of one direction too.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { completeReply } from "../../src/flow/reply.ts";
import * as status from "../../src/flow/status.ts";
import { flowLine } from "../../src/flow/text.ts";
import { KernelCommit } from "../../src/kernel/commit.ts";
import { CT_NEW } from "../../src/kernel/ctnetlink-attributes.ts";
import { encodeCreate } from "../../src/kernel/encode-conntrack.ts";
import { AF_INET, NLM_F_CREATE, NLM_F_EXCL } from "../../src/kernel/netlink.ts";
import { RequestBatch } from "../../src/kernel/request-batch.ts";
import { decodeFlow } from "../../src/wire/decode.ts";
import { EXTENDED_MESSAGE_MAX_BYTES, encodeFlow } from "../../src/wire/encode.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { findEntry, rawTable, table, unwrap } from "./kernel-table.ts";
import { EVERY_KIND, flowOf, RULES, sendPackets } from "./kernel-traffic.ts";

const LIFE = status.IPS_SEEN_REPLY | status.IPS_ASSURED | status.IPS_CONFIRMED;
let lab: Lab;
let before: Uint32Array[];
let to: Namespace;
let commit: KernelCommit;

function commitTo(namespace: Namespace, flows: readonly f.Flow[]): [number, number][] {
  commit = inside(namespace, () => unwrap(KernelCommit.open()));
  const refusals: [number, number][] = [];
  for (const master of [true, false]) {
    for (const [i, flow] of flows.entries()) if (flow.has(f.HAS_MASTER) !== master) commit.add(flow, i, 300);
    const refused = commit.flush();
    for (let i = 0; i < refused; i++) refusals.push([commit.refusedTag(i), commit.refusedErrno(i)]);
  }
  commit.close();
  return refusals;
}

/** The flow as an extended peer gets it. */
function told(words: Uint32Array): f.Flow {
  const [sent, received] = [new f.Flow(), new f.Flow()];
  sent.words.set(words);
  const view = new DataView(new ArrayBuffer(EXTENDED_MESSAGE_MAX_BYTES));
  const length = encodeFlow(sent, view, 0, false, true);
  expect(decodeFlow(view, 0, length, received, true)).toBe("ok");
  completeReply(received.words);
  return received;
}

beforeAll(async () => {
  lab = await Lab.create();
  const from = await lab.namespace("from");
  to = await lab.namespace("to");
  for (const namespace of [from, to]) await namespace.nft(RULES);
  sendPackets(from);
  expect(
    commitTo(
      from,
      EVERY_KIND.map(([, wanted]) => flowOf(wanted)),
    ),
  ).toEqual([]);
  before = table(from);
});
afterAll(() => lab[Symbol.asyncDispose]());

test("the table has what conntrackd's format cannot carry", () => {
  const direction = (words: Uint32Array) => (words[f.PROTO]! >>> 28) & 3;
  const of = (l4proto: number) => before.filter((words) => f.l4protoOf(words[f.PROTO]!) === l4proto);
  expect(of(f.IPPROTO_GRE).some((words) => words[f.ORIG_PORTS] !== 0)).toBeTrue();
  expect(of(f.IPPROTO_UDPLITE).some((words) => words[f.ORIG_PORTS] !== 0)).toBeTrue();
  for (const one of [f.ZONE_ORIG_ONLY, f.ZONE_REPLY_ONLY])
    expect(before.some((words) => direction(words) === one)).toBeTrue();
  const translatedIds = of(f.IPPROTO_ICMP).filter((w) => w[f.ORIG_PORTS]! >>> 16 !== w[f.REPLY_PORTS]! >>> 16);
  expect(translatedIds.length).toBeGreaterThan(0);
});

test("every entry is committed, and stands as it stood", () => {
  expect(commitTo(to, before.map(told))).toEqual([]);
  const after = table(to);
  expect(after).toHaveLength(before.length);
  for (const words of before) {
    const flow = new f.Flow();
    flow.words.set(words);
    expect(comparable(findEntry(after, flow))).toEqual(comparable(words));
  }
});

/** Why no security context is told: the kernel would report one, and takes none. */
test("a security context in a request is passed over without a word", () => {
  const [CTA_SECCTX, CTA_SECCTX_NAME, context] = [19, 1, "system_u:object_r:unlabeled_t:s0"];
  const flow = flowOf({ l4proto: 6, source: 99, state: 3 });
  const batch = inside(to, () => unwrap(RequestBatch.open("commit a security context")));
  batch.begin(CT_NEW, NLM_F_CREATE | NLM_F_EXCL, AF_INET);
  encodeCreate(batch.writer, flow.words, 300, 0);
  const nest = batch.writer.nest(CTA_SECCTX);
  batch.writer.text(CTA_SECCTX_NAME, context);
  batch.writer.unnest(nest);
  batch.end();
  expect([batch.send(), batch.errno(0)]).toEqual([0, 0]);
  batch.close();
  findEntry(table(to), flow);
  const text = new TextDecoder("latin1");
  expect(rawTable(to).some((message) => text.decode(message).includes(context))).toBeFalse();
});

/** Without what time and NAT set-up change, and without the zeros of SYN proxy that every entry made by request has. */
function comparable(words: Uint32Array): Record<string, unknown> {
  const flow = new f.Flow();
  flow.words.set(words);
  const has = words[f.HAS]! & ~(f.HAS_SYNPROXY | f.HAS_WSCALE);
  return {
    line: flowLine(flow, 0),
    identity: [...words.subarray(0, f.REPLY_PORTS + 1)],
    has,
    status: words[f.STATUS]! & LIFE,
    info: words[f.INFO],
    rest: [...words.subarray(f.VTAG_ORIG)],
  };
}
