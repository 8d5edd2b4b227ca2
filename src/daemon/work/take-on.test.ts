/** The job of the primary that stays, beside a model of its kernel, while the peer goes on telling. */
import { expect, test } from "bun:test";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { keyOf, makeFlow } from "../../../test/make-flow.ts";
import { Node as Replicating, talk } from "../../../test/replica-node.ts";
import { Flow, ORIG_DST, PROTO, portsWord } from "../../flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW } from "../../replica.ts";
import { monotonicMs } from "../clock.ts";
import { SLICE_MS } from "../jobs.ts";
import type { Node } from "../node.ts";
import { takeOn } from "./take-on.ts";

const PEER = 0;
const numbered = (i: number): Flow => makeFlow({ ports: portsWord(1_000 + i, 443) });

function copyOf(flow: Flow): Flow {
  const copy = new Flow();
  copy.copyFrom(flow);
  return copy;
}

/** Takes whatever it is told, so slowly that each batch ends a slice. */
class ModelKernel {
  readonly helpersLost = 0;
  readonly labelsLost = 0;
  readonly entries = new Map<string, Flow>();
  expectations = 0;
  /** Questions that it does not answer, and flows of one that it does. */
  deaf = 0;
  room = 256;
  #added: Flow[] = [];
  #asked: Flow[] = [];

  readonly commit = {
    ...{ helpersLost: 0, labelsLost: 0, start: () => {}, hasRoom: () => this.#added.length < 256 },
    add: (flow: Flow) => void this.#added.push(copyOf(flow)),
    flush: (): number => {
      for (const endMs = monotonicMs() + SLICE_MS; this.#added.length > 0 && monotonicMs() < endMs; );
      for (const flow of this.#added.splice(0)) this.entries.set(keyOf(flow), flow);
      return 0;
    },
  };

  readonly lookup = {
    hasRoom: () => this.#asked.length < this.room,
    add: (flow: Flow): void => {
      if (flow.words[PROTO] === 0) throw new Error("a free slot was asked for");
      this.#asked.push(copyOf(flow));
    },
    ask: (): number => {
      this.#answers = this.#asked.splice(0).map((flow) => this.entries.get(keyOf(flow)));
      return this.deaf-- > 0 ? -105 : 0;
    },
    found: (i: number) => this.#answers[i],
  };
  #answers: (Flow | undefined)[] = [];

  readonly expectationCommit = {
    ...{ committed: 0, orphaned: 0, hasRoom: () => true, flush: () => 0 },
    add: () => void this.expectations++,
  };
}

/** B, which was primary beside A and let flows 1 to 4 in, steps down. */
function world() {
  const nodes: [Replicating, Replicating] = [new Replicating(1_000, 16, 11), new Replicating(5_000, 16, 22)];
  for (const node of nodes) node.nowMs = monotonicMs();
  const [a, b] = nodes;
  for (let i = 0; i < 4; i++) talk(a, b, 1_000);
  for (const { replica } of nodes) replica.role = "master";
  for (const i of [1, 2, 3, 4]) b.event(EVENT_NEW, numbered(i));
  for (let i = 0; i < 3; i++) talk(a, b, 1_000);
  b.replica.role = "backup";
  for (let i = 0; i < 3; i++) talk(a, b, 1_000);
  const kernel = new ModelKernel();
  const node = {
    ...{ replica: a.replica, commit: kernel.commit, lookup: kernel.lookup, links: [{ peer: "10.0.9.2" }] },
    ...{ expectationCommit: kernel.expectationCommit, state: { role: "master", words: 1, takenOn: null } },
    ...{ flight: { note: () => {} }, log: { warning: () => {} } },
  } as unknown as Node;
  return { a, b, kernel, node };
}

type World = ReturnType<typeof world>;

/** `meanwhile` is called once, when the first flows are in the kernel. */
function run({ a, b, kernel, node }: World, meanwhile: () => void = () => {}) {
  let isBegun = false;
  const job = takeOn(node);
  for (let step = job.next(); ; step = job.next()) {
    if (step.done) return step.value;
    if (kernel.entries.size > 0 && !isBegun) meanwhile();
    isBegun = kernel.entries.size > 0;
    talk(a, b);
  }
}

test("what the other primary let in is in the kernel, and announced here", () => {
  const it = world();
  const taken = run(it);
  expect(taken.ok && taken.value.flows).toBe(4);
  talk(it.a, it.b, 1_000);
  expect([it.kernel.entries.size, it.a.replica.internal.count, it.b.replica.internal.count]).toEqual([4, 4, 0]);
});

test("a kernel that cannot be asked leaves nothing behind that another flow may have by the next batch", () => {
  const it = world();
  it.kernel.room = 2;
  it.kernel.deaf = 1;
  const taken = run(it, () => {
    for (const i of [1, 2, 3, 4]) it.b.event(EVENT_DESTROY, numbered(i));
    talk(it.a, it.b);
    expect(it.a.replica.external.count).toBe(0);
  });
  expect(taken.ok && taken.value.flows).toBe(4);
  expect(it.a.replica.internal.count).toBe(0);
});

test("a flow that this node ignores is not its own, nor are expectations whose master is nowhere", () => {
  const it = world();
  const [address] = numbered(1).words.subarray(ORIG_DST);
  it.a.filter.setOwn([{ family: 4, words: [address], prefixBits: 32 }]);
  const { external } = it.a.replica.expectations;
  external.learn(makeExpectation(1), true, it.a.nowMs, PEER);
  run(it);
  expect([it.a.replica.internal.count, it.kernel.expectations]).toEqual([0, 0]);
});

test("a takeover that came while the peer was asked is not held up, and what it leaves is taken on after it", () => {
  const it = world();
  it.a.replica.ownership.wantsTakingOn = false;
  const job = takeOn(it.node);
  expect(job.next().done).toBe(false);
  it.node.state.words++;
  for (let step = job.next(); ; step = job.next()) {
    if (!step.done) talk(it.a, it.b);
    else {
      const { wantsTakingOn } = it.a.replica.ownership;
      expect([step.value.ok, it.kernel.entries.size, wantsTakingOn]).toEqual([false, 0, true]);
      return;
    }
  }
});
