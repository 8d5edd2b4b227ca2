import { expect, test } from "bun:test";
import { makeFlow } from "../../../test/make-flow.ts";
import { Node } from "../../../test/replica-node.ts";
import { type Flow, portsWord } from "../../flow/flow.ts";
import { findMissing } from "./live.ts";
import { SliceClock } from "./slice-clock.ts";

const FLOWS = 4_096;
/** With a clock that goes on a millisecond at each look. */
const SLOTS_PER_SLICE = 2 * 64;
const numbered = (i: number): Flow => makeFlow({ ports: portsWord(1_000 + i, 443) });

test("a takeover that looks for what its kernel lacks passes over slots that the peer gives up meanwhile", () => {
  const { replica } = new Node(1_000, FLOWS, undefined, { live: true });
  const { external } = replica;
  const live = replica.live!;
  live.queue.follow(true);
  for (let i = 0; i < FLOWS; i++) external.create(numbered(i), 0);
  live.queue.clear();
  let nowMs = 0;
  const looking = findMissing({ replica }, live, new SliceClock(() => nowMs++));
  let slices = 0;
  while (!looking.next().done) {
    slices++;
    const slot = SLOTS_PER_SLICE * slices;
    for (let i = slot - 8; i < slot + 8; i++) external.destroy(numbered(i));
  }
  expect(slices).toBe(FLOWS / SLOTS_PER_SLICE);
  let waited = 0;
  for (let slot = live.queue.next(0); slot >= 0; slot = live.queue.next(0), waited++)
    expect(external.isUsed(slot)).toBeTrue();
  expect(waited).toBe(external.count);
});

test("what was adopted, and has ended here since, is not looked for", () => {
  const { replica } = new Node(1_000, 16, undefined, { live: true });
  const { external } = replica;
  const live = replica.live!;
  live.queue.follow(true);
  for (const i of [1, 2]) external.create(numbered(i), 0);
  external.beginTakeover();
  external.adopted(external.find(numbered(1)));
  const looked = findMissing({ replica }, live).next();
  expect(looked).toEqual({ done: true, value: [external.find(numbered(2))] });
});
