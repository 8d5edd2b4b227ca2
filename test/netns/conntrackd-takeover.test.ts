/**
 * Takeover in a mixed pair, both ways round: what the backup puts into its kernel is what stood in the primary's, entry by
 * entry and word by word, but for what the protocol cannot carry and what conntrackd's commit loses.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import * as status from "../../src/flow/status.ts";
import { flowLine } from "../../src/flow/text.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { CtsyncNode, type Program, programsOf } from "../lab/sync-node.ts";
import { until } from "../lab/until.ts";
import { BOTH_WAYS_ROUND, converged, insert, type Pair, startPair } from "./conntrackd-pair.ts";
import { sendTraffic } from "./conntrackd-traffic.ts";
import { table } from "./kernel-table.ts";
import { EVERY_KIND, flowOf } from "./kernel-traffic.ts";

setDefaultTimeout(60_000);
const LIFE = status.IPS_SEEN_REPLY | status.IPS_ASSURED | status.IPS_CONFIRMED | status.IPS_EXPECTED;
const NAT = status.IPS_SRC_NAT | status.IPS_DST_NAT;
/** What a timeout may run down between the kernel's report and the comparison. */
const RUN_DOWN_SECONDS = 20;

/** Key of an entry: its identity, as text. */
const keyOf = (words: Uint32Array): string => words.subarray(0, f.KEY_WORDS).join();

/** Entries by key, the sync link's and the machine's own left out. */
function entries(namespace: Namespace): Map<string, Uint32Array> {
  const isOwn = (words: Uint32Array): boolean =>
    words[f.ORIG_SRC]! >>> 8 === 0x0a0009 || words[f.ORIG_SRC]! >>> 24 === 127;
  return new Map(
    table(namespace)
      .filter((words) => !isOwn(words))
      .map((words) => [keyOf(words), words]),
  );
}

/** What the committed entry of this one must be: see `asCarried` for what the protocol leaves out. */
function carried(entry: Uint32Array, committer: Program): Uint32Array {
  const words = entry.slice();
  const l4proto = f.l4protoOf(words[f.PROTO]!);
  if (((words[f.PROTO]! >>> 28) & 3) !== f.ZONE_BOTH)
    words[f.PROTO] = f.protoWord(f.familyOf(words[f.PROTO]!), l4proto, 0, f.ZONE_BOTH);
  if (l4proto === f.IPPROTO_GRE || l4proto === f.IPPROTO_UDPLITE) {
    words[f.ORIG_PORTS] = 0;
    words[f.REPLY_PORTS] = 0;
  }
  if (f.isIcmp(l4proto)) {
    words[f.REPLY_PORTS] = ((words[f.ORIG_PORTS]! & 0xffff0000) | (words[f.REPLY_PORTS]! & 0xffff)) >>> 0;
  }
  if (l4proto === f.IPPROTO_SCTP && committer === "conntrackd") {
    // It commits port translation for TCP and UDP alone, and mistakes the tag for TCP's window flags.
    words[f.REPLY_PORTS] = ((words[f.ORIG_PORTS]! << 16) | (words[f.ORIG_PORTS]! >>> 16)) >>> 0;
    words[f.VTAG_ORIG] = ((words[f.VTAG_ORIG]! & 0xffffff00) | 0x08) >>> 0;
  }
  return words;
}

/** Without timeout, window scales (neither program sends any) and SYN proxy values of 0, which stand in every new entry. */
function comparable(words: Uint32Array): Record<string, unknown> {
  const flow = new f.Flow();
  flow.words.set(words);
  const given = f.HAS_LABELS | f.HAS_HELPER | f.HAS_MASTER | f.HAS_MASTER_PORTS | f.HAS_SEQADJ;
  return {
    line: flowLine(flow, 0),
    status: words[f.STATUS]! & (LIFE | NAT),
    has: words[f.HAS]! & given,
    tags: [words[f.VTAG_ORIG], words[f.VTAG_REPLY]],
    labels: [...words.subarray(f.LABELS, f.LABELS + 4)],
    master: [...words.subarray(f.MASTER_PROTO, f.MASTER_PORTS + 1)],
    seqadj: [...words.subarray(f.SEQADJ, f.SEQADJ + 6)],
    synproxy: [...words.subarray(f.SYNPROXY, f.SYNPROXY + 3)],
  };
}

/** conntrackd's bulk command returns before the bulk has arrived, and no line of a dump shows sequence adjustment. */
async function adjustmentsArrive({ backup }: Pair): Promise<void> {
  if (!(backup instanceof CtsyncNode)) return;
  const { daemon } = backup;
  const wanted = 1 + EVERY_KIND.filter(([, { seqadj }]) => seqadj !== undefined).length;
  const arrived = async () =>
    (await daemon.succeed("dump", "--external", "--format", "json")).split('"seqadj"').length - 1 === wanted;
  await until(arrived, 5_000, "the external cache has the sequence adjustments");
}

/** ctsync's kernel has been told of all that ctsync was told. */
async function applied({ backup }: Pair): Promise<void> {
  if (!(backup instanceof CtsyncNode)) return;
  const { daemon } = backup;
  const isIdle = async () => {
    const { apply, external } = await daemon.status();
    return apply.waiting + apply.withdrawing + apply.failing === 0 && apply.standing === external;
  };
  await until(isIdle, 5_000, "the kernel follows the external cache");
}

const WAYS: readonly (readonly [primary: Program, backup: Program, apply: "commit" | "live"])[] = [
  ...BOTH_WAYS_ROUND.map(([primary, backup]) => [primary, backup, "commit"] as const),
  ["conntrackd", "ctsync", "live"],
];

describe.each(WAYS)("%s was primary, %s takes over, ctsync applies at %s", (primary, backup, apply) => {
  let lab: Lab;
  let pair: Pair;
  let before: Uint32Array[];
  /** The backup's table before and after the takeover. */
  let standing: Map<string, Uint32Array>;
  let after: Map<string, Uint32Array>;

  beforeAll(async () => {
    lab = await Lab.create();
    pair = await startPair(lab, [primary, backup], { apply });
    insert(
      pair.primary.namespace,
      EVERY_KIND.map(([, wanted]) => flowOf(wanted)),
    );
    await sendTraffic(pair);
    // The kernel raises no event when a helper begins to adjust sequence numbers: only who reads the table learns it.
    await pair.primary.resync();
    await pair.primary.bulk();
    await converged(pair);
    await adjustmentsArrive(pair);
    before = [...entries(pair.primary.namespace).values()].map((words) => carried(words, backup));
    if (apply === "live") await applied(pair);
    standing = entries(pair.backup.namespace);
    await pair.backup.takeOver();
    after = entries(pair.backup.namespace);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test("the traffic has what is to be compared", () => {
    const has = before.reduce((all, words) => all | words[f.HAS]!, 0);
    for (const property of [f.HAS_LABELS, f.HAS_HELPER, f.HAS_MASTER, f.HAS_SEQADJ, f.HAS_SYNPROXY, f.HAS_VTAGS])
      expect(has & property).toBe(property);
    expect(before.length).toBeGreaterThan(50);
  });

  test("before the takeover the backup's kernel has all of them, or none", () => {
    const texts = (table: Map<string, Uint32Array>) =>
      [...table].map(([key, entry]) => `${key} ${JSON.stringify(comparable(entry))}`).sort();
    expect(texts(standing)).toEqual(apply === "live" ? texts(after) : []);
  });

  test("every flow stands in the backup's kernel as it stood in the primary's, and no other", () => {
    expect(after.size).toBe(before.length);
    for (const words of before) {
      const entry = after.get(keyOf(words)) ?? new Uint32Array(f.FLOW_WORDS);
      expect(comparable(entry)).toEqual(comparable(words));
    }
  });

  test("with the timeout it had left", () => {
    for (const words of before) {
      const left = after.get(keyOf(words))?.[f.TIMEOUT] ?? 0;
      expect(left).toBeWithin(words[f.TIMEOUT]! - RUN_DOWN_SECONDS, words[f.TIMEOUT]! + 2);
    }
  });

  test("nothing failed on the way", async () => {
    const { ctsync, conntrackd } = programsOf(pair);
    expect(conntrackd.conntrackd.process.output).not.toMatch(/can't be committed|\[ERROR\]/);
    const { lastRoleChange, counters } = await ctsync.daemon.status();
    if (backup === "ctsync") expect(lastRoleChange).toMatchObject({ role: "master", ok: true });
    expect(counters.kernel?.refused).toBe(0);
    if (apply === "live") expect(counters.apply?.refused).toBe(0);
  });

  test("the old primary holds what the new one has", async () => {
    await converged({ ...pair, primary: pair.backup, backup: pair.primary });
  });

  test("conntrackd's expectations are learnt", async () => {
    const { wire } = (await programsOf(pair).ctsync.daemon.status()).counters;
    if (primary === "conntrackd") expect(wire?.expectationsReceived).toBeGreaterThan(0);
  });

  test("neither refused a message", async () => {
    expect(await pair.primary.refusals()).toEqual({});
    expect(await pair.backup.refusals()).toEqual({});
  });
});
