/** Which flows held packets belong to, in whichever direction and wherever on their way they were held. */
import { expect, test } from "bun:test";
import { giveMaster, HOST, makeFlow, SERVER } from "../../../test/make-flow.ts";
import { ExternalCache } from "../../cache/external.ts";
import { FlowHash } from "../../cache/hash.ts";
import {
  type Flow,
  IPPROTO_ICMP,
  icmpWord,
  KEY_WORDS,
  PROTO,
  portsWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
} from "../../flow/flow.ts";
import { FirstFlows } from "./first-flows.ts";

const VIRTUAL = 0xcb007101;
const four = (word: number): number[] => [word, 0, 0, 0];

function tuple({ words }: Flow, source: number, destination: number, ports: number): number[] {
  return [words[PROTO], ...four(source), ...four(destination), ports];
}

/** A look gives the walk as much time as the clock allows: where that stands still, all it wants. */
function world(flows: readonly Flow[], packets: number[][], nowMs: () => number = () => 0) {
  const external = new ExternalCache(16_384, new FlowHash(1, 2));
  for (const flow of flows) external.create(flow, 0);
  const source = {
    next: (words: Uint32Array): boolean => {
      const packet = packets.shift();
      if (packet !== undefined) words.set(packet);
      return packet !== undefined;
    },
  };
  const first = new FirstFlows(source, external, nowMs);
  const look = (): number[] => {
    first.look();
    const slots: number[] = [];
    for (let slot = first.next(); slot >= 0; slot = first.next()) slots.push(slot);
    return slots;
  };
  return { external, first, look };
}

const other = (i: number): Flow => makeFlow({ ports: portsWord(1 + i, 80) });

test("the original direction, the reply's, and one whose destination the rules have translated already", () => {
  const plain = makeFlow();
  const snat = makeFlow({ ports: portsWord(2, 443) });
  snat.words[REPLY_DST] = VIRTUAL;
  const dnat = makeFlow({ ports: portsWord(3, 443) });
  dnat.words[REPLY_SRC] = 0xc0a80a0a;
  dnat.words[REPLY_PORTS] = portsWord(8_443, 3);
  const ping = makeFlow({ l4proto: IPPROTO_ICMP, ports: icmpWord(7, 8, 0) });
  const [host, server] = [HOST[0]!, SERVER[0]!];
  const cases: [packet: number[], slot: number][] = [
    [tuple(plain, host, server, portsWord(40_000, 443)), 0],
    [tuple(plain, server, host, portsWord(443, 40_000)), 0],
    [tuple(snat, host, server, portsWord(2, 443)), 1],
    [tuple(snat, server, VIRTUAL, portsWord(443, 2)), 1],
    [tuple(dnat, host, server, portsWord(3, 443)), 2],
    [tuple(dnat, 0xc0a80a0a, host, portsWord(8_443, 3)), 2],
    [tuple(dnat, host, 0xc0a80a0a, portsWord(3, 8_443)), 2],
    [tuple(ping, host, server, icmpWord(7, 8, 0)), 3],
    [tuple(ping, server, host, icmpWord(7, 0, 0)), 3],
  ];
  for (const [packet, slot] of cases) expect(world([plain, snat, dnat, ping], [packet]).look()).toEqual([slot]);
  const unknown = [tuple(plain, host, server, portsWord(9, 9)), tuple(snat, server, VIRTUAL, portsWord(443, 9))];
  expect(world([plain, snat, dnat, ping], unknown).look()).toEqual([]);
});

test("a packet in the reply direction waits for the walk, and so does the commit, until walks had more than their share", () => {
  const flows = Array.from({ length: 12_000 }, (_, i) => other(i));
  flows[11_999]!.words[REPLY_DST] = VIRTUAL;
  const packet = tuple(flows[0]!, SERVER[0]!, VIRTUAL, portsWord(80, 12_000));
  const stranger = tuple(flows[0]!, SERVER[0]!, VIRTUAL, portsWord(80, 13_000));
  let clockMs = 0;
  const packets = [packet];
  const { first, look } = world(flows, packets, () => {
    clockMs += 1; // A look is over after the first parts.
    return clockMs;
  });
  const looks = Array.from({ length: 4 }, () => ({ slots: look(), waits: first.isWaiting }));
  expect(looks.flatMap(({ slots }) => slots)).toEqual([11_999]);
  expect(looks[0]!.waits).toBeTrue();
  expect(looks.at(-1)!.waits).toBeFalse();
  const waits = Array.from({ length: 200 }, () => {
    packets.push(stranger);
    expect(look()).toEqual([]);
    return first.isWaiting;
  });
  expect(waits.slice(0, 10)).toContain(true);
  expect(waits.slice(-40)).toContain(false);
});

test("a flood of packets takes a bounded share of each look; none of a known flow is passed over", () => {
  const flows = Array.from({ length: 1_000 }, (_, i) => other(i));
  const packets = flows.map(({ words }) => [...words.subarray(0, KEY_WORDS)]);
  const { look } = world(flows, packets);
  const looks: number[][] = [];
  for (let slots = look(); slots.length > 0; slots = look()) looks.push(slots);
  expect(looks.length).toBeGreaterThan(5);
  expect(looks.flat()).toEqual(flows.map((_, slot) => slot));
});

test("the master of a related flow goes before it, where it is known", () => {
  const master = makeFlow({ ports: portsWord(1, 21) });
  const related = makeFlow({ ports: portsWord(20, 2) });
  giveMaster(related, master.words[PROTO], four(HOST[0]!), four(SERVER[0]!), portsWord(1, 21));
  const packet = [...related.words.subarray(0, KEY_WORDS)];
  const known = world([related, master], [packet]);
  expect(known.look()).toEqual([known.external.find(related), known.external.find(master)].toReversed());
  expect(world([related], [packet]).look()).toEqual([0]);
});
