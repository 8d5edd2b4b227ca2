/** Two ctsync nodes on a sealed channel: what conntrackd's format cannot carry arrives too; on an open one it does not. */
import { expect, test } from "bun:test";
import { makeFlow } from "../test/make-flow.ts";
import { type Node, pair, talk } from "../test/replica-node.ts";
import * as f from "./flow/flow.ts";
import { flowLine } from "./flow/text.ts";
import { EVENT_DESTROY, EVENT_NEW } from "./replica.ts";

const extend = (...nodes: readonly Node[]): void => {
  for (const { replica } of nodes) Object.defineProperty(replica.sessions[0], "extended", { value: true });
};

function lines({ replica, nowMs }: Node, cache: "internal" | "external"): string[] {
  const table = replica[cache];
  const flow = new f.Flow();
  const all: string[] = [];
  for (let slot = table.nextLive(0); slot >= 0; slot = table.nextLive(slot + 1)) {
    table.read(slot, flow, nowMs);
    all.push(flowLine(flow, 0));
  }
  return all.sort();
}

const gre = (key: number): f.Flow => makeFlow({ l4proto: f.IPPROTO_GRE, ports: f.portsWord(0, key) });
const zoned = (direction: number): f.Flow => {
  const flow = makeFlow();
  flow.words[f.PROTO] = f.protoWord(4, f.IPPROTO_TCP, 9, direction);
  return flow;
};
const FLOWS: readonly f.Flow[] = [
  gre(5),
  gre(6),
  makeFlow({ l4proto: f.IPPROTO_UDPLITE, ports: f.portsWord(1, 2) }),
  makeFlow({ l4proto: f.IPPROTO_UDPLITE, ports: f.portsWord(1, 3) }),
  zoned(f.ZONE_ORIG_ONLY),
  zoned(f.ZONE_REPLY_ONLY),
  makeFlow(),
];

test("to an extended peer every flow is told as the kernel has it, and its end too", () => {
  const [a, b] = pair();
  extend(a, b);
  for (const flow of FLOWS) a.event(EVENT_NEW, flow);
  talk(a, b);
  expect(b.replica.external.count).toBe(FLOWS.length);
  expect(lines(b, "external")).toEqual(lines(a, "internal"));
  expect(b.replica.counters.wire).toMatchObject({ badPayload: 0, incomplete: 0 });
  a.event(EVENT_DESTROY, FLOWS[1]);
  a.event(EVENT_DESTROY, FLOWS[4]);
  talk(a, b);
  expect(b.replica.external.count).toBe(FLOWS.length - 2);
  expect(lines(b, "external")).toEqual(lines(a, "internal"));
});

test("to any other peer what conntrackd cannot tell apart is one flow, as it is to conntrackd", () => {
  const [a, b] = pair();
  for (const flow of FLOWS) a.event(EVENT_NEW, flow);
  talk(a, b);
  expect(b.replica.external.count).toBe(3);
  expect(b.replica.counters.wire.badPayload).toBe(0);
});
