/**
 * What no peer should send, sent to a running daemon: each raises exactly one named counter and changes nothing else,
 * while the real peer goes on replicating as if it had never come.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import type { StatusReport } from "../../src/report.ts";
import type { Daemon } from "../lab/ctsync.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { cached, DEADLINE_MS, insert, makeSides, replicated, type Sides, startPair, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

const VICTIM = 0x0a000901;
const PEER = 0x0a000902;
const FOREIGNER = 0x0a000903;
const PORT = 3780;
/** Far from any number in use: were it believed, everything the peer says after it would be late. */
const SEQ = "7fff0000";
const ADDRESSES = "000c0000c6120001c6120002";
const PROTOCOL = "0005000211000000";
const PORTS = "0008000303e90035";
const WHOLE = ADDRESSES + PROTOCOL + PORTS;

/** Hexadecimal digits of a message: version and type, flags, its true length, `SEQ`, then `rest`. */
const message = (type: string, flags: string, rest: string): string =>
  type + flags + (8 + rest.length / 2).toString(16).padStart(4, "0") + SEQ + rest;
const flow = (attributes: string): string => message("10", "00", attributes);

type Case = readonly [name: string, datagram: string, counter: string];
const CASES: readonly Case[] = [
  ["an empty datagram", "", "truncated"],
  ["a header cut short", `10000034${SEQ}`.slice(0, 14), "truncated"],
  ["an acknowledgement without its range", `1a080008${SEQ}`, "truncated"],
  ["a body cut short", flow(WHOLE).slice(0, -8), "badSize"],
  ["a length of 0", `10000000${SEQ}${WHOLE}`, "badSize"],
  ["a length below the header's", `10000004${SEQ}${WHOLE}`, "badSize"],
  ["a length beyond the datagram", `100000c8${SEQ}${WHOLE}`, "badSize"],
  ["a range message too short for its range", `1a04000c${SEQ}${"00".repeat(8)}`, "badSize"],
  ["version 0", message("00", "00", WHOLE), "badVersion"],
  ["version 2", message("20", "00", WHOLE), "badVersion"],
  ["version 15", message("f0", "00", WHOLE), "badVersion"],
  ["an unknown type", message("16", "00", WHOLE), "badHeader"],
  ["the last unknown type", message("1f", "20", WHOLE), "badHeader"],
  ["a flow with an unknown flag", message("10", "01", WHOLE), "badHeader"],
  ["a flow that says it is an acknowledgement", message("10", "08", WHOLE), "badHeader"],
  ["an ended flow that says it is alive", message("12", "10", WHOLE), "badHeader"],
  ["a control message that says nothing", message("1a", "00", ""), "badHeader"],
  ["a greeting that says nothing", message("1a", "20", ""), "badHeader"],
  ["a control message that says two things", message("1a", "18", "00".repeat(8)), "badHeader"],
  ["an acknowledgement of a range that ends before it begins", message("1a", "08", "0000000a00000009"), "badHeader"],
  ["a gap that ends before it begins", message("1a", "04", "0000000a00000009"), "badHeader"],
  ["an unknown attribute", flow(`${WHOLE}0008002100000001`), "badPayload"],
  ["an unknown attribute in a greeting", message("10", "20", `${WHOLE}0008002100000001`), "badPayload"],
  ["an attribute of length 3", flow(`${WHOLE}0003000700000001`), "badPayload"],
  ["an attribute that is longer than its message", flow(`${WHOLE}0028000700000001`), "badPayload"],
  ["a mark of 2 bytes", flow(`${WHOLE}0006000700010000`), "badPayload"],
  ["IPv4 addresses of 12 bytes", flow(`00100000${"c6120001".repeat(3)}${PROTOCOL}${PORTS}`), "badPayload"],
  ["a helper's name without an end", flow(`${WHOLE}0008001b74667470`), "badPayload"],
  ["a helper's name with a line break in it", flow(`${WHOLE}0008001b740a7400`), "badPayload"],
  ["labels of 1028 bytes", flow(`${WHOLE}0408001c${"00".repeat(1028)}`), "badPayload"],
  ["an ended flow with an unknown attribute", message("12", "00", `${WHOLE}0008002100000001`), "badPayload"],
  ["nothing but a header", flow(""), "incomplete"],
  ["no addresses", flow(PROTOCOL + PORTS), "incomplete"],
  ["no protocol", flow(ADDRESSES + PORTS), "incomplete"],
  ["no ports", flow(ADDRESSES + PROTOCOL), "incomplete"],
  ["addresses of both families", flow(`${WHOLE}00240001${"20010db8".repeat(8)}`), "incomplete"],
  ["the longest datagram there is, full of zeros", "00".repeat(65_507), "badSize"],
  ["the longest datagram there is, full of ones", "ff".repeat(65_507), "badSize"],
];
const REFUSALS = ["truncated", "badSize", "badVersion", "badHeader", "badPayload", "incomplete", "late"] as const;

setDefaultTimeout(60_000);

let lab: Lab;
let sides: Sides;
let daemons: [Daemon, Daemon];
let victim: Sides[0];

beforeAll(async () => {
  lab = await Lab.create();
  sides = await makeSides(lab);
  victim = sides[0];
  await sides[1].namespace.ip("address add 10.0.9.3/24 dev sync");
  daemons = await startPair(sides);
  insert(sides[1], [flowOf({ l4proto: 6, state: 3 }), flowOf({ l4proto: 17, source: 2 })]);
  await replicated(sides[1], victim);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

function send(from: number, hex: string): void {
  inside(sides[1].namespace, () => {
    const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
    const bytes = Uint8Array.fromHex(hex);
    const sent = bind(fd, inetAddress(from, 0)) || sendTo(fd, bytes, bytes.length, inetAddress(VICTIM, PORT));
    close(fd);
    if (sent !== bytes.length) throw new Error(`sent ${sent}`);
  });
}

const refused = ({ counters }: StatusReport): Record<string, number> => ({
  ...Object.fromEntries(REFUSALS.map((name) => [name, counters.wire![name]!])),
  foreign: counters.link!.foreign!,
});

/** All that a refused datagram must leave alone. The kernel tracks it like any flow to the machine itself. */
const rest = ({ role, ready, internal, external, peer, counters }: StatusReport): object => ({
  ...{ role, ready, internal, external, state: peer.state, resent: peer.resent, lost: peer.lost },
  ...{ peerCounters: counters.peer, flowsReceived: counters.wire!.flowsReceived },
  cache: { ...counters.cache, ignored: 0 },
});

/** Sends the datagram; expects the counter, and nothing else, one higher. */
async function expectRefused(from: number, datagram: string, counter: string): Promise<void> {
  const before = await statusOf(victim);
  const flowsBefore = await cached(victim, "external");
  send(from, datagram);
  send(FOREIGNER, ""); // It comes through the same queue: when it is counted, whatever the first one did is done.
  const wanted = refused(before);
  wanted.foreign = wanted.foreign! + 1;
  wanted[counter] = wanted[counter]! + 1;
  await until(async () => refused(await statusOf(victim)).foreign === wanted.foreign, DEADLINE_MS, "it is counted");
  const after = await statusOf(victim);
  expect(refused(after)).toEqual(wanted);
  expect(rest(after)).toEqual(rest(before));
  expect(await cached(victim, "external")).toEqual(flowsBefore);
}

describe("from the peer's address", () => {
  test.each(CASES)("%s", async (_, datagram, counter) => {
    await expectRefused(PEER, datagram, counter);
  });
});

test("from another address on the link, a flow without any fault", async () => {
  await expectRefused(FOREIGNER, flow(WHOLE), "foreign");
});

test("after all of it the peer replicates without a gap, and its daemon saw nothing of it", async () => {
  insert(sides[1], [flowOf({ l4proto: 17, source: 3 })]);
  insert(sides[0], [flowOf({ l4proto: 17, source: 4 })]);
  await replicated(sides[1], sides[0]);
  await replicated(sides[0], sides[1]);
  for (const side of sides) {
    const { peer, counters } = await statusOf(side);
    expect(peer).toMatchObject({ state: "connected", resent: 0, lost: 0 });
    expect(counters.peer).toMatchObject({ nacksReceived: 0, astray: 0, stalls: 0 });
  }
  for (const daemon of daemons) expect(await daemon.stop()).toBe(0);
});
