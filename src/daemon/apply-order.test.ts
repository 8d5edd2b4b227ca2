/** What of many flows that wait the kernel is told first. */
import { expect, test } from "bun:test";
import { give, makeFlow } from "../../test/make-flow.ts";
import { ApplyQueue } from "../cache/apply-queue.ts";
import { ExternalCache } from "../cache/external.ts";
import { FlowHash } from "../cache/hash.ts";
import { HAS_HELPER, HELPER } from "../flow/flow.ts";
import { ApplyOrder } from "./apply-order.ts";

const FTP = 0x66747000;

/** So many flows wait in the order of their numbers, those that `helped` names with a helper. */
function waiting(count: number, helped: readonly number[]) {
  const hash = new FlowHash(1, 2);
  const queue = new ApplyQueue(count, hash);
  queue.follow(true);
  const external = new ExternalCache(count, hash, queue);
  for (let i = 0; i < count; i++) {
    const flow = makeFlow({ ports: i });
    external.create(helped.includes(i) ? give(flow, HAS_HELPER, HELPER, FTP) : flow, 0);
  }
  return { queue, external, order: new ApplyOrder(external, queue) };
}

function all(order: ApplyOrder): number[] {
  const slots: number[] = [];
  for (let slot = order.next(0); slot >= 0; slot = order.next(0)) slots.push(slot);
  return slots;
}

test("a drain of many names those with a helper first, each once, and only those that wait", () => {
  const { queue, order } = waiting(1_000, [300, 500, 900]);
  queue.take(500);
  order.beginDrain(undefined);
  const slots = all(order);
  expect(slots.slice(0, 3)).toEqual([300, 900, 0]);
  expect(slots).toHaveLength(999);
  expect(new Set(slots).size).toBe(999);
});

test("outside of a drain, and where few wait, all go as they came", () => {
  const many = waiting(1_000, [300]);
  expect(all(many.order)[0]).toBe(0);
  many.order.beginDrain(undefined);
  many.order.endDrain();
  many.queue.changed(5, 0);
  many.queue.changed(300, 0);
  expect(all(many.order)).toEqual([5, 300]);
  const few = waiting(200, [100]);
  few.order.beginDrain(undefined);
  expect(all(few.order)[0]).toBe(0);
});
