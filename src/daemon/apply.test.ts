/** What a live backup tells its kernel, held to a model of one: whatever comes, and in the middle of whatever. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Errno } from "../../ffi/errno.ts";
import { ExpectationKernel } from "../../test/expectation-kernel.ts";
import { makeExpectation } from "../../test/make-expectation.ts";
import { give, keyOf, makeFlow } from "../../test/make-flow.ts";
import { Node } from "../../test/replica-node.ts";
import type { ExternalCache } from "../cache/external.ts";
import {
  Flow,
  familyOf,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  KEY_WORDS,
  MARK,
  MASTER_PORTS,
  MASTER_PROTO,
  ORIG_PORTS,
  PROTO,
  portsWord,
  REPLY_PORTS,
  STATUS,
} from "../flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED } from "../flow/status.ts";
import { EVENT_NEW, EVENT_UPDATE } from "../replica.ts";
import { EXP_DESTROY, EXP_NEW } from "../wire/header.ts";
import { Apply, type ApplyParts } from "./apply.ts";
import { ApplyExpectations } from "./apply-expectations.ts";
import { monotonicMs } from "./clock.ts";
import { SLICE_MS, type Slice } from "./jobs.ts";
import { FirstFlows } from "./work/first-flows.ts";
import { SliceClock } from "./work/slice-clock.ts";

/** So few that each slot is taken again and again. */
const FLOWS_MAX = 6;
const TUPLES = 8;
/** Flows of one request. */
const ROOM = 3;
const TIMEOUT_SECONDS = 100;

const numbered = (i: number, status = IPS_CONFIRMED | IPS_ASSURED): Flow =>
  makeFlow({ ports: portsWord(1_000 + i, 443), status, timeoutSeconds: TIMEOUT_SECONDS });

/** Flow number i, which belongs to number `master`. */
function related(i: number, master: number): Flow {
  const key = numbered(master).words.subarray(PROTO, ORIG_PORTS + 1);
  return give(numbered(i), HAS_MASTER | HAS_MASTER_PORTS, MASTER_PROTO, ...key); // Its words are in the key's order.
}

function masterOf({ words }: Flow): string {
  const master = new Flow();
  master.words.set(words.subarray(MASTER_PROTO, MASTER_PORTS + 1), PROTO);
  return keyOf(master);
}

function copyOf(flow: Flow): Flow {
  const copy = new Flow();
  copy.copyFrom(flow);
  return copy;
}

interface Request {
  readonly flow: Flow;
  readonly tag: number;
}

/** Requests that wait for their flush, and the refusals of the last one. */
class Requests {
  readonly portId = 0;
  protected readonly requests: Request[] = [];
  readonly #answer: (flow: Flow) => number;
  #refused: readonly { readonly tag: number; readonly errno: number }[] = [];

  constructor(answer: (flow: Flow) => number) {
    this.#answer = answer;
  }

  hasRoom = (): boolean => this.requests.length < ROOM;
  start = (): void => {};
  add = (flow: Flow, tag: number): void => {
    if (familyOf(flow.words[PROTO]) !== 4) throw new Error("a free slot was told");
    this.requests.push({ flow: copyOf(flow), tag });
  };
  refusedTag = (i: number): number => this.#refused[i].tag;
  refusedErrno = (i: number): number => this.#refused[i].errno;
  flush(): number {
    this.#refused = this.requests
      .splice(0)
      .map(({ flow, tag }) => ({ tag, errno: this.#answer(flow) }))
      .filter(({ errno }) => errno !== 0);
    return this.#refused.length;
  }
}

/** A kernel as ctnetlink has it: create, or update in place, which leaves the reply tuple and every bit once set. */
class ModelKernel {
  readonly entries = new Map<string, Flow>();
  full = false;
  /** So slow that each batch ends a slice. */
  slow = false;

  parts(): Omit<ApplyParts, "replica" | "expectations" | "doubtSeconds"> {
    return {
      commit: new Requests((flow) => this.#take(flow)),
      deletes: new Requests((flow) => (this.entries.delete(keyOf(flow)) ? 0 : Errno.ENOENT)),
      timers: new Requests((flow) => (this.entries.has(keyOf(flow)) ? 0 : Errno.ENOENT)),
    };
  }

  #take(flow: Flow): number {
    for (const endMs = monotonicMs() + SLICE_MS; this.slow && monotonicMs() < endMs; );
    const standing = this.entries.get(keyOf(flow));
    if (standing === undefined && this.full) return Errno.ENOMEM;
    if (standing === undefined && flow.has(HAS_MASTER) && !this.entries.has(masterOf(flow))) return Errno.ENOENT;
    const entry = copyOf(flow);
    if (standing !== undefined) {
      entry.words[REPLY_PORTS] = standing.words[REPLY_PORTS];
      entry.words[STATUS] |= standing.words[STATUS];
    }
    this.entries.set(keyOf(flow), entry);
    return 0;
  }
}

/** Over at every third step. */
class ShortSlices extends SliceClock {
  #steps = 0;

  override isOver(): boolean {
    return ++this.#steps % 3 === 0;
  }
}

function world() {
  const node = new Node(1_000, FLOWS_MAX, undefined, { live: true });
  const { replica } = node;
  const live = replica.live!;
  live.holding = false;
  replica.role = "backup";
  const kernel = new ModelKernel();
  const expected = new ExpectationKernel();
  const expectations = new ApplyExpectations({ expectations: replica.expectations, ...expected.parts() });
  const apply = new Apply({ replica, doubtSeconds: 60, expectations, ...kernel.parts() }, live, new ShortSlices());
  apply.begin(monotonicMs());
  return { replica, external: replica.external, queue: live.queue, kernel, expected, apply };
}

type World = ReturnType<typeof world>;

/** All that is due within a minute and more is done. */
function settle({ apply, queue }: World): void {
  const startMs = monotonicMs();
  for (let second = 0; second < 70; second++)
    for (let turn = 0; turn < 4 || queue.waiting + queue.withdrawing > 0; turn++)
      apply.turn(startMs + second * 1_100 + turn * 20);
}

function run<T>(generator: Generator<Slice, T, void>): T {
  for (;;) {
    const { done, value } = generator.next();
    if (done) return value;
  }
}

/** Packets of these flows are held, one of each. */
function packetsOf(external: ExternalCache, ...flows: Flow[]): FirstFlows {
  const next = (words: Uint32Array): boolean => {
    const flow = flows.shift();
    if (flow !== undefined) words.set(flow.words.subarray(0, KEY_WORDS));
    return flow !== undefined;
  };
  return new FirstFlows({ next }, external);
}

test("a node that steps down puts what the cache has into the kernel a part a turn, and takes out what leaves meanwhile", () => {
  const node = world();
  const { external, queue, kernel, apply } = node;
  apply.end();
  for (let i = 1; i <= FLOWS_MAX; i++) external.create(numbered(i), 0);
  for (let i = 0; i <= FLOWS_MAX; i++) kernel.entries.set(keyOf(numbered(i)), numbered(i)); // It was primary.
  apply.begin(monotonicMs());
  apply.turn(monotonicMs());
  expect(queue.waiting).toBeWithin(1, FLOWS_MAX);
  expect([apply.isCurrent(monotonicMs()), apply.dueMs]).toEqual([false, 0]);
  for (const i of [1, FLOWS_MAX]) external.destroy(numbered(i));
  settle(node);
  expect(apply.isCurrent(monotonicMs())).toBe(true);
  const left = Array.from({ length: FLOWS_MAX - 2 }, (_, i) => i + 2);
  expect([...kernel.entries.keys()].toSorted()).toEqual([0, ...left].map((i) => keyOf(numbered(i))).toSorted());
  expect(queue.standing).toBe(left.length);
});

test("before anything else it can see to the end what of its flows the peer has named already: they are the peer's", () => {
  const { replica, external, queue, kernel, apply } = world();
  apply.end();
  for (let i = 1; i <= FLOWS_MAX; i++) {
    replica.kernelEvent(EVENT_NEW, numbered(i), monotonicMs());
    kernel.entries.set(keyOf(numbered(i)), numbered(i));
    external.create(numbered(i), monotonicMs());
  }
  replica.kernelEvent(EVENT_UPDATE, numbered(2), monotonicMs());
  apply.begin(monotonicMs());
  run(apply.look());
  expect(replica.live!.isOurs(numbered(2))).toBeTrue();
  expect([replica.internal.count, queue.lookedTo, queue.standing]).toEqual([1, Number.POSITIVE_INFINITY, FLOWS_MAX]);
});

describe("a takeover that puts the last flows into the kernel", () => {
  test("finds those that were refused, and nothing in the slots that are free", () => {
    const node = world();
    const { external, kernel, apply } = node;
    for (let i = 1; i <= 4; i++) external.create(numbered(i), 0);
    settle(node);
    kernel.full = true;
    external.create(numbered(5), 0);
    settle(node);
    for (const i of [1, 3]) external.destroy(numbered(i));
    kernel.full = false;
    expect(run(apply.drain())).toMatchObject({ applied: 1, withdrawn: 2, refused: 0 });
    expect([...kernel.entries.keys()].toSorted()).toEqual([2, 4, 5].map((i) => keyOf(numbered(i))).toSorted());
  });

  test("takes those first whose packets wait at the gate, masters before them, and each once", () => {
    const { external, kernel, apply } = world();
    for (let i = 1; i <= 5; i++) external.create(numbered(i), 0);
    external.create(related(6, 5), 0);
    const first = packetsOf(external, related(6, 5), numbered(4), numbered(4), numbered(8));
    expect(run(apply.drain(first))).toMatchObject({ applied: 6, refused: 0 });
    const order = [5, 6, 4, 1, 2, 3].map((i) => keyOf(numbered(i)));
    expect([...kernel.entries.keys()]).toEqual(order);
    expect(first.taken).toBe(3);
  });

  test("lets a related flow go without its master, but not the next one in its slot", () => {
    const { external, queue, kernel, apply } = world();
    external.create(numbered(3), 0);
    external.create(related(1, 7), 0);
    kernel.slow = true;
    const drain = apply.drain();
    while (!queue.goesAlone(1)) drain.next();
    external.destroy(numbered(1));
    external.create(related(2, 3), 0);
    expect(external.find(numbered(2))).toBe(1);
    expect(run(drain)).toMatchObject({ applied: 2, refused: 0 });
    expect(kernel.entries.get(keyOf(numbered(2)))!.has(HAS_MASTER)).toBeTrue();
  });
});

test("a flow that was expected goes into the kernel before the expectation leaves it, in a turn and in a takeover", () => {
  for (const isTakeover of [false, true]) {
    const node = world();
    const { replica, external, kernel, expected, apply } = node;
    const { master, ...rest } = makeExpectation(443);
    const expectation = { ...rest, master: { ...master, ports: numbered(1).words[ORIG_PORTS] } };
    external.create(numbered(1), 0);
    replica.expectations.learn(EXP_NEW, expectation, 0, monotonicMs());
    settle(node);
    expect(expected.entries.size).toBe(1);

    let flows = 0;
    expected.lose = (lost) => {
      flows = kernel.entries.size;
      return ExpectationKernel.prototype.lose.call(expected, lost);
    };
    replica.expectations.learn(EXP_DESTROY, expectation, 0, monotonicMs());
    external.create(related(2, 1), 0);
    if (isTakeover) {
      run(apply.drain());
      run(apply.expectations.drain());
    } else settle(node);
    expect([flows, expected.entries.size]).toEqual([2, 0]);
  }
});

type Step = { readonly what: number; readonly i: number; readonly mark: number };
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.nat(13),
  i: fc.integer({ min: 1, max: TUPLES }),
  mark: fc.integer({ min: 1, max: 6 }),
});

test("whatever comes, ends, is emptied, refused or lost while the kernel is told: no free slot is told, and it has what the cache has", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const node = world();
      const { replica, external, queue, kernel, apply } = node;
      let drain: Generator<Slice, unknown, void> | undefined;
      let nowMs = monotonicMs();
      for (const { what, i, mark } of steps) {
        const told =
          mark > 5 ? related(i, (i % TUPLES) + 1) : numbered(i, mark % 2 ? IPS_CONFIRMED | IPS_ASSURED : IPS_CONFIRMED);
        give(told, HAS_MARK, MARK, mark);
        if (mark > 3) told.words[REPLY_PORTS] = portsWord(443, 50_000 + i); // Another NAT.
        if (what < 3) external.create(told, nowMs);
        else if (what < 4) external.update(told, nowMs);
        else if (what < 7) external.destroy(told);
        else if (what < 9) apply.turn(nowMs);
        else if (what === 9) kernel.full = !kernel.full;
        else if (what === 10 && kernel.entries.delete(keyOf(told))) replica.live!.ended(told, nowMs);
        else if (what === 11) {
          kernel.slow = mark > 3;
          drain ??= apply.drain(mark % 2 ? packetsOf(external, told, numbered(mark), related(2, 1)) : undefined);
          if (drain.next().done) drain = undefined;
        } else if (what > 11 && mark === 1 && drain === undefined) {
          // What stands then is nobody's to follow any more: the model takes it away.
          if (what === 12) replica.flushExternal();
          else apply.end();
          kernel.entries.clear();
          apply.begin(nowMs);
        }
        nowMs += 150;
      }
      kernel.full = false;
      kernel.slow = false;
      if (drain !== undefined) run(drain);
      settle(node);
      const seen = ({ words }: Flow): number[] => [words[MARK], words[REPLY_PORTS]];
      const wanted = new Map<string, number[]>();
      let waiting = 0;
      for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1)) {
        const flow = new Flow();
        external.read(slot, flow, nowMs);
        if (queue.stands(slot)) wanted.set(keyOf(flow), seen(flow));
        else waiting++; // Its master is not there.
      }
      const standing = [...kernel.entries].filter(([key]) => wanted.has(key));
      expect(new Map(standing.map(([key, flow]) => [key, seen(flow)]))).toEqual(wanted);
      expect([queue.waiting, queue.withdrawing, queue.failing]).toEqual([0, 0, waiting]);
    }),
    { numRuns: 400 },
  );
});
