import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { arbitraryFlow, HOST6, keyOf, makeFlow } from "../../test/make-flow.ts";
import { Flow, HAS, HAS_LABELS, HAS_SYNPROXY, LABELS } from "../flow/flow.ts";
import { FlowTable } from "./flow-table.ts";
import { FlowHash } from "./hash.ts";

const table = (flowsMax: number, key = 1): FlowTable => new FlowTable(flowsMax, new FlowHash(key, ~key));

const wideAndRare = (host: number): Flow => {
  const flow = makeFlow({ source: [...HOST6.slice(0, 3), host] });
  flow.words[HAS] |= HAS_LABELS;
  flow.words[LABELS] = host;
  return flow;
};

/** Slots in use, as a walk names them. */
function walk(flows: FlowTable): number[] {
  const slots: number[] = [];
  for (let slot = flows.nextUsed(0); slot >= 0; slot = flows.nextUsed(slot + 1)) slots.push(slot);
  return slots;
}

/** The table holds what the model holds, no more and no less. */
function expectEqual(flows: FlowTable, model: ReadonlyMap<string, Flow>): void {
  const read = new Flow();
  expect(flows.count).toBe(model.size);
  const slots = walk(flows);
  expect(slots.length).toBe(model.size);
  for (const flow of model.values()) {
    const slot = flows.find(flow.words);
    expect(slots).toContain(slot);
    read.words.fill(0xdead);
    flows.read(slot, read);
    expect(read.words).toEqual(flow.words);
  }
}

/** Every slot can be used again, with all that a slot may need. */
function expectAllReusable(flows: FlowTable): void {
  const slots = new Set<number>();
  for (let host = 0; host < flows.flowsMax; host++) slots.add(flows.place(wideAndRare(host).words));
  const read = new Flow();
  for (let host = 0; host < flows.flowsMax; host++) {
    flows.read(flows.find(wideAndRare(host).words), read);
    expect(read.words).toEqual(wideAndRare(host).words);
  }
  expect(slots.size).toBe(flows.flowsMax);
  expect(slots.has(-1)).toBe(false);
  expect(flows.place(wideAndRare(flows.flowsMax).words)).toBe(-1);
}

type Step = readonly [doing: "store" | "remove" | "find", flow: Flow];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(fc.constantFrom("store" as const, "store" as const, "remove" as const, "find" as const), arbitraryFlow),
  { maxLength: 60 },
);

test("does what a map of as many flows would do, whatever is stored, replaced and removed", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(), steps, fc.boolean(), (flowsMax, key, doings, clears) => {
      const flows = table(flowsMax, key);
      const model = new Map<string, Flow>();
      for (const [doing, flow] of doings) {
        const slot = flows.find(flow.words);
        expect(slot >= 0).toBe(model.has(keyOf(flow)));
        if (doing === "remove" && slot >= 0) {
          flows.remove(slot);
          model.delete(keyOf(flow));
        } else if (doing === "store") {
          if (slot >= 0) flows.write(slot, flow.words);
          else expect(flows.place(flow.words) >= 0).toBe(model.size < flowsMax);
          if (slot >= 0 || model.size < flowsMax) model.set(keyOf(flow), flow);
        }
        expectEqual(flows, model);
      }
      if (clears) flows.clear();
      else for (const slot of walk(flows)) flows.remove(slot);
      expectEqual(flows, new Map());
      expectAllReusable(flows);
    }),
    { numRuns: 300 },
  );
});

test("thousands of flows come and go, and none is mixed up with another", () => {
  const flows = table(500);
  const slots = new Map<number, number>();
  const read = new Flow();
  for (let i = 0; i < 20_000; i++) {
    const host = Math.imul(i, 0x9e3779b1) >>> 22; // One of 1024, in no order.
    const known = slots.get(host);
    if (known !== undefined) {
      flows.read(known, read);
      expect(read.words).toEqual(wideAndRare(host).words);
      flows.remove(known);
      slots.delete(host);
    } else {
      const slot = flows.place(wideAndRare(host).words);
      expect(slot >= 0).toBe(slots.size < 500);
      if (slot >= 0) slots.set(host, slot);
    }
  }
  expect(flows.count).toBe(slots.size);
  for (const [host, slot] of slots) expect(flows.find(wideAndRare(host).words)).toBe(slot);
  for (const slot of slots.values()) flows.remove(slot);
  expectAllReusable(flows);
});

describe("a flow", () => {
  test("keeps its slot while others leave, wherever it stands among those that share a home", () => {
    for (const leaves of [0, 1, 2]) {
      const flows = table(3); // Eight places at most: over the keys tried, all share a home now and then.
      for (let base = 0; base < 50; base++) {
        const three = [0, 1, 2].map((i) => makeFlow({ ports: base * 3 + i }));
        const slots = three.map(({ words }) => flows.place(words));
        flows.remove(slots[leaves]);
        expect(three.map(({ words }) => flows.find(words))).toEqual(slots.map((slot, i) => (i === leaves ? -1 : slot)));
        for (const [i, slot] of slots.entries()) if (i !== leaves) flows.remove(slot);
      }
    }
  });

  test("gives its rare attributes' room back when it has none any more", () => {
    const flows = table(2);
    const rare = wideAndRare(1);
    const plain = makeFlow({ source: [...HOST6.slice(0, 3), 1] });
    const slot = flows.place(rare.words);
    for (let i = 0; i < 10; i++) {
      flows.write(slot, plain.words);
      flows.write(slot, rare.words);
    }
    flows.remove(slot);
    expectAllReusable(flows);
  });

  test("has its rare attributes also when all of them are zero, after one that had others", () => {
    const flows = table(2);
    const slot = flows.place(wideAndRare(1).words);
    const zero = wideAndRare(1);
    zero.words[HAS] = (zero.words[HAS] & ~HAS_LABELS) | HAS_SYNPROXY;
    zero.words[LABELS] = 0;
    flows.write(slot, zero.words);
    const read = new Flow();
    flows.read(slot, read);
    expect(read.words).toEqual(zero.words);
    flows.remove(slot);
    expectAllReusable(flows);
  });

  test("is another one in another zone, of another family, or with one bit of its key changed", () => {
    const flows = table(64);
    flows.place(makeFlow().words);
    expect(flows.find(makeFlow().words)).toBe(0);
    expect(flows.find(makeFlow({ zone: 1 }).words)).toBe(-1);
    expect(flows.find(makeFlow({ l4proto: 17 }).words)).toBe(-1);
    expect(flows.find(makeFlow({ source: [0x0a000001, 0, 0, 0], destination: [0xc0000205, 0, 0, 0] }).words)).toBe(-1);
    for (let bit = 0; bit < 32; bit++) {
      expect(flows.find(makeFlow({ source: [(0x0a000001 ^ (1 << bit)) >>> 0] }).words)).toBe(-1);
      expect(flows.find(makeFlow({ destination: [(0xc0000205 ^ (1 << bit)) >>> 0] }).words)).toBe(-1);
      expect(flows.find(makeFlow({ ports: ((40_000 << 16) | 443) ^ (1 << bit) }).words)).toBe(-1);
    }
  });
});
