/** What a commit makes of the external cache, held to a model of the kernel, while a peer goes on telling. */
import { expect, test } from "bun:test";
import { Errno } from "../../../ffi/errno.ts";
import { give, makeFlow } from "../../../test/make-flow.ts";
import { ExternalCache } from "../../cache/external.ts";
import { FlowHash } from "../../cache/hash.ts";
import { InternalCache } from "../../cache/internal.ts";
import {
  Flow,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  KEY_WORDS,
  MASTER_DST,
  MASTER_PORTS,
  MASTER_PROTO,
  MASTER_SRC,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
} from "../../flow/flow.ts";
import type { KernelCommit } from "../../kernel/commit.ts";
import { CommitRun } from "./commit-run.ts";
import { FirstFlows } from "./first-flows.ts";

const NOTHING = { committed: 0, failed: 0, failures: [], orphaned: 0 };
const HASH = new FlowHash(1, 2);

const numbered = (i: number): Flow => makeFlow({ ports: portsWord(1_000 + i, 443) });

/** Flow number i, which belongs to number `master`. */
function related(i: number, master: number): Flow {
  const { words } = numbered(master);
  const flow = give(numbered(i), HAS_MASTER | HAS_MASTER_PORTS, MASTER_PROTO, words[PROTO]);
  flow.words.set(words.subarray(ORIG_SRC, ORIG_SRC + 4), MASTER_SRC);
  flow.words.set(words.subarray(ORIG_DST, ORIG_DST + 4), MASTER_DST);
  flow.words[MASTER_PORTS] = words[ORIG_PORTS];
  return flow;
}

/** Takes three flows at a time; refuses those whose master it has not, and `refuses`. */
class ModelKernel {
  readonly helpersLost = 0;
  readonly labelsLost = 0;
  refused = 0;
  /** Ports of the entries, and of the master that each was made with. */
  readonly entries = new Map<number, number>();
  refuses = -1;
  /** How often it was asked. */
  added = 0;
  readonly #added: { readonly flow: Flow; readonly tag: number }[] = [];
  #refused: { readonly tag: number; readonly errno: number }[] = [];

  start(): void {}
  hasRoom(): boolean {
    return this.#added.length < 3;
  }
  add(flow: Flow, tag: number): void {
    this.added++;
    const copy = new Flow();
    copy.copyFrom(flow);
    this.#added.push({ flow: copy, tag });
  }
  flush(): number {
    this.#refused = [];
    for (const { flow, tag } of this.#added.splice(0)) {
      const { words } = flow;
      const master = flow.has(HAS_MASTER) ? words[MASTER_PORTS] : 0;
      if (words[ORIG_PORTS] === this.refuses) this.#refused.push({ tag, errno: Errno.EBUSY });
      else if (master !== 0 && !this.entries.has(master)) this.#refused.push({ tag, errno: Errno.ENOENT });
      else this.entries.set(words[ORIG_PORTS], master);
    }
    this.refused += this.#refused.length;
    return this.#refused.length;
  }
  refusedTag = (i: number): number => this.#refused[i].tag;
  refusedErrno = (i: number): number => this.#refused[i].errno;
}

function world() {
  const kernel = new ModelKernel();
  const external = new ExternalCache(64, HASH);
  const internal = new InternalCache(64, HASH, 1);
  const commit = kernel as unknown as KernelCommit;
  const begin = (first?: FirstFlows) => new CommitRun({ commit, replica: { internal, external } }, undefined, first);
  return { kernel, external, internal, begin };
}

const portsOf = (i: number): number => numbered(i).words[ORIG_PORTS];

function finish(run: CommitRun): void {
  for (let batch = 0; run.batch(); batch++) if (batch > 100) throw new Error("it never comes to an end");
}

test("a related flow whose master is gone goes without it; one that was told of in the place of another keeps its own", () => {
  const { kernel, external, begin } = world();
  external.create(related(1, 90), 0);
  external.create(related(2, 90), 0);
  external.create(numbered(3), 0);
  const run = begin();
  run.batch(); // The related ones are refused.
  expect(kernel.entries.size).toBe(1);
  const slot = external.find(related(2, 90));
  external.destroy(related(2, 90));
  external.create(related(4, 3), 0);
  expect(external.find(related(4, 3))).toBe(slot);
  finish(run);
  expect([...kernel.entries].toSorted()).toEqual([
    [portsOf(1), 0],
    [portsOf(3), 0],
    [portsOf(4), portsOf(3)],
  ]);
  const { committed, updated, failed, lessened } = run.report(NOTHING);
  expect({ committed, updated, failed, lessened }).toEqual({
    ...{ committed: 3, updated: 0, failed: 0 },
    lessened: [{ without: "master", count: 1 }],
  });
  expect(kernel.refused).toBe(0); // For good.
});

test("what ended before its second try is not counted, nor what stands here twice", () => {
  const { kernel, external, internal, begin } = world();
  for (const flow of [related(1, 90), related(2, 90), numbered(3), numbered(4), numbered(5)]) external.create(flow, 0);
  for (const flow of [related(1, 90), numbered(4), numbered(5)]) internal.create(flow, 0);
  internal.kill(internal.find(numbered(5)));
  kernel.refuses = portsOf(4);
  const run = begin();
  run.batch();
  run.batch();
  external.destroy(related(2, 90));
  finish(run);
  const { committed, updated, failed } = run.report(NOTHING);
  expect({ committed, updated, failed }).toEqual({ committed: 2, updated: 1, failed: 1 });
  expect(kernel.refused).toBe(1);
});

test("while a packet waits for the index of reply tuples nobody else goes, and all do when it is whole", () => {
  const { kernel, external, begin } = world();
  for (let i = 0; i < 5; i++) external.create(numbered(i), 0);
  const first = new FirstFlows({ next: () => false }, external);
  let waits = true;
  Object.defineProperty(first, "isWaiting", { get: () => waits });
  const run = begin(first);
  expect([run.batch(), run.batch(), kernel.entries.size]).toEqual([true, true, 0]);
  waits = false;
  finish(run);
  expect(kernel.entries.size).toBe(5);
  expect(run.report(NOTHING)).toMatchObject({ first: 0, committed: 5, failed: 0 });
});

test("what packets wait for goes first, its master before it; each flow once, and the sums are as without", () => {
  const { kernel, external, internal, begin } = world();
  for (let i = 0; i < 20; i++) external.create(numbered(i), 0);
  external.create(related(20, 15), 0);
  internal.create(numbered(18), 0);
  kernel.refuses = portsOf(17);
  const packets = [related(20, 15), numbered(18), numbered(17), numbered(50), numbered(18)];
  const source = {
    next: (words: Uint32Array): boolean => {
      const packet = packets.shift();
      if (packet !== undefined) words.set(packet.words.subarray(0, KEY_WORDS));
      return packet !== undefined;
    },
  };
  const run = begin(new FirstFlows(source, external));
  run.batch();
  expect([...kernel.entries.keys()]).toEqual([portsOf(15), portsOf(20), portsOf(18)]);
  run.batch();
  packets.push(numbered(18), numbered(19)); // One that is there; one whose flow is still to come.
  run.batch();
  expect([...kernel.entries.keys()].indexOf(portsOf(19))).toBeLessThan(7);
  finish(run);
  expect(kernel.entries.size).toBe(20);
  expect(kernel.added).toBe(21);
  const { first, committed, updated, failed } = run.report(NOTHING);
  expect({ first, committed, updated, failed }).toEqual({ first: 5, committed: 19, updated: 1, failed: 1 });
});
