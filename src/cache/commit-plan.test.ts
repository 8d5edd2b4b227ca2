import { expect, test } from "bun:test";
import fc from "fast-check";
import { bare, give, makeFlow } from "../../test/make-flow.ts";
import { Flow, HAS_MASTER, HAS_STATUS, MASTER_PROTO, ORIG_PORTS, protoWord, STATUS } from "../flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED } from "../flow/status.ts";
import { CommitPlan, LOOK_ON } from "./commit-plan.ts";
import { ExternalCache } from "./external.ts";
import { FlowHash } from "./hash.ts";

const NOW_MS = 1_000_000;
const KINDS = ["assured", "other", "related", "related and assured"] as const;
type Kind = (typeof KINDS)[number];

function flowOf(kind: Kind, ports: number): Flow {
  const assured = kind === "assured" || kind === "related and assured" ? IPS_ASSURED : 0;
  const flow = give(bare(makeFlow({ ports })), HAS_STATUS, STATUS, IPS_CONFIRMED | assured);
  return kind.startsWith("related") ? give(flow, HAS_MASTER, MASTER_PROTO, protoWord(4, 6, 0, 0)) : flow;
}

function cacheWith(kinds: readonly Kind[]): ExternalCache {
  const cache = new ExternalCache(64, new FlowHash(1, 2));
  for (const [port, kind] of kinds.entries()) cache.create(flowOf(kind, port), NOW_MS);
  return cache;
}

/** Ports of the flows in the order of the plan. */
function order(plan: CommitPlan): number[] {
  const flow = new Flow();
  const ports: number[] = [];
  for (let slot = plan.next(flow, NOW_MS); slot !== -1; slot = plan.next(flow, NOW_MS))
    if (slot !== LOOK_ON) ports.push(flow.words[ORIG_PORTS]);
  return ports;
}

test("assured flows come first, then the others, and last those related to a master", () => {
  const kinds: Kind[] = ["related", "other", "assured", "related and assured", "other", "assured"];
  expect(order(new CommitPlan(cacheWith(kinds)))).toEqual([2, 5, 1, 4, 0, 3]);
});

test("every flow is named once, whatever the mix", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...KINDS), { maxLength: 64 }), (kinds) => {
      const ports = order(new CommitPlan(cacheWith(kinds)));
      expect(ports.toSorted((a, b) => a - b)).toEqual(kinds.map((_, port) => port));
      const masterless = ports.map((port) => !kinds[port].startsWith("related"));
      expect(masterless.lastIndexOf(true)).toBeLessThan(masterless.includes(false) ? masterless.indexOf(false) : 65);
    }),
  );
});

test("flows may leave the cache while the plan is under way: each that stays is still named", () => {
  const cache = cacheWith(["assured", "other", "assured", "related"]);
  const plan = new CommitPlan(cache);
  const flow = new Flow();
  const first = plan.next(flow, NOW_MS);
  expect(flow.words[ORIG_PORTS]).toBe(0);
  cache.remove(first);
  cache.destroy(bare(makeFlow({ ports: 1 })));
  expect(order(plan)).toEqual([2, 3]);
});

test("a flow that a peer changes meanwhile is named by the pass that it belongs to now, or the next: once", () => {
  const cache = cacheWith(["other", "other", "related", "assured", "related", "assured"]);
  const plan = new CommitPlan(cache);
  const flow = new Flow();
  plan.next(flow, NOW_MS);
  expect(flow.words[ORIG_PORTS]).toBe(3);
  cache.create(flowOf("assured", 0), NOW_MS); // Passed over, and the pass of those is over for it.
  cache.create(flowOf("other", 3), NOW_MS); // Named already.
  plan.next(flow, NOW_MS);
  expect(flow.words[ORIG_PORTS]).toBe(5);
  cache.create(flowOf("related", 1), NOW_MS); // Before the first of those.
  expect(order(plan)).toEqual([0, 1, 2, 4]);
});

test("a long walk over flows that are for later is not done in one go", () => {
  const cache = new ExternalCache(4_096, new FlowHash(1, 2));
  for (let port = 0; port < 4_096; port++) cache.create(flowOf(port === 4_000 ? "assured" : "other", port), NOW_MS);
  const plan = new CommitPlan(cache);
  const flow = new Flow();
  let walks = 0;
  while (plan.next(flow, NOW_MS) === LOOK_ON) walks++;
  expect([flow.words[ORIG_PORTS], walks]).toEqual([4_000, 15]);
  expect(order(plan)).toHaveLength(4_095);
});

test("an empty cache has nothing to commit, however often it is asked", () => {
  const plan = new CommitPlan(cacheWith([]));
  expect([plan.next(new Flow(), NOW_MS), plan.next(new Flow(), NOW_MS)]).toEqual([-1, -1]);
});
