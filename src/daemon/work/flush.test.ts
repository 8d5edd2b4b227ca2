/** What leaves the external caches after a takeover, while the peer goes on speaking. */
import { describe, expect, test } from "bun:test";
import { makeExpectation } from "../../../test/make-expectation.ts";
import { makeFlow } from "../../../test/make-flow.ts";
import { Node, pair, talk } from "../../../test/replica-node.ts";
import { EVENT_NEW } from "../../replica.ts";
import { flushCommitted } from "./flush.ts";
import { SliceClock } from "./slice-clock.ts";

const began = ({ replica, nowMs }: Node, port: number): void =>
  replica.expectations.kernelEvent(true, makeExpectation(port), nowMs);

/** The backup holds a flow and two expectations, and takes over. */
function takenOver(): [Node, Node] {
  const [a, b] = pair();
  a.event(EVENT_NEW, makeFlow({ ports: 1 }));
  began(a, 1);
  began(a, 2);
  talk(a, b);
  expect([b.replica.external.count, b.replica.expectations.external.count]).toEqual([1, 2]);
  b.replica.external.beginTakeover();
  b.replica.expectations.external.beginTakeover();
  return [a, b];
}

function flush({ replica }: Node): number[] {
  const job = flushCommitted({ replica });
  for (let step = job.next(); !step.done; step = job.next());
  const { external } = replica.expectations;
  const ports: number[] = [];
  for (let slot = external.nextLive(0); slot >= 0; slot = external.nextLive(slot + 1))
    ports.push(external.read(slot, 0).expected.ports);
  return [replica.external.count, ...ports.toSorted()];
}

describe("after a takeover the external caches have", () => {
  test("nothing, where no peer spoke meanwhile", () => {
    const [, b] = takenOver();
    expect(flush(b)).toEqual([0]);
  });

  test("of what was committed nothing, where a peer told of another flow meanwhile", () => {
    const [a, b] = takenOver();
    a.event(EVENT_NEW, makeFlow({ ports: 2 }));
    talk(a, b);
    expect(flush(b)).toEqual([1]);
  });

  test("what was told of meanwhile, however much, and the walk over it yields", () => {
    const b = new Node(1_000, 1_000);
    b.replica.external.beginTakeover();
    for (let port = 1; port <= 1_000; port++) b.replica.external.create(makeFlow({ ports: port }), 0);
    let nowMs = 0;
    const job = flushCommitted(b, new SliceClock(() => nowMs++));
    let slices = 0;
    for (let step = job.next(); !step.done; step = job.next()) slices++;
    expect([b.replica.external.count, slices]).toEqual([1_000, 7]);
  });

  test("an expectation that a peer told of meanwhile, a known one or another, and nothing else", () => {
    const [a, b] = takenOver();
    began(a, 2);
    began(a, 3);
    talk(a, b);
    expect(flush(b)).toEqual([0, 2, 3]);
    b.replica.external.beginTakeover();
    b.replica.expectations.external.beginTakeover();
    expect(flush(b)).toEqual([0]);
  });
});
