/** In which order a primary that has just taken over tells what it has. */
import { expect, test } from "bun:test";
import { makeFlow } from "../test/make-flow.ts";
import { Node, talk } from "../test/replica-node.ts";
import { Flow, ORIG_PORTS, portsWord } from "./flow/flow.ts";
import { EVENT_NEW, EVENT_UPDATE } from "./replica.ts";

const numbered = (i: number, mark = 0): Flow => makeFlow({ ports: portsWord(1_000 + i, 443), mark });
const STOOD = [1, 2, 3, 4];

test.each([
  ["over an open link", undefined],
  ["between two nodes that know each other", 11],
] as const)("%s: what begins or changes after a takeover is told before what stood there", (_, epoch) => {
  const primary = new Node(1_000, 16, epoch, { live: true });
  const next = new Node(5_000, 16, epoch && epoch + 1, { live: true });
  for (let i = 0; i < 3; i++) talk(primary, next, 1_000);
  primary.replica.role = "master";
  for (const i of STOOD) primary.event(EVENT_NEW, numbered(i));
  for (let i = 0; i < 3; i++) talk(primary, next, 1_000);

  const { replica, nowMs } = next;
  replica.role = "master";
  replica.live!.holding = false;
  replica.external.beginTakeover();
  for (const i of STOOD) replica.live!.adopt(numbered(i), nowMs);
  next.event(EVENT_NEW, numbered(9));
  next.event(EVENT_UPDATE, numbered(3, 7));
  const [session] = replica.sessions;
  const flow = new Flow();
  const told: number[] = [];
  for (let sending = session.transmit(nowMs); sending !== "nothing"; sending = session.transmit(nowMs)) {
    if (sending !== "data") continue;
    replica.internal.read(session.outgoing.slot, flow, nowMs);
    told.push((flow.words[ORIG_PORTS] >>> 16) - 1_000);
  }
  expect(told).toEqual([9, 3, 1, 2, 4]);
});
