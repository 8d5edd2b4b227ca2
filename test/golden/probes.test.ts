/**
 * Single datagrams, valid and broken, that were sent to a real conntrackd, and what it made of them: which counter it raised and
 * what its caches gained. Ours must do the same, but for the probes listed here, where we ask for more.
 *
 * Before the first probe a keep-alive was sent, and after each one a keep-alive with HELLO under the next number, which
 * gets the sequence tracking back in step.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expectationLine } from "../../src/flow/expectation-text.ts";
import { Ftfw } from "../../src/sync/ftfw.ts";
import { decodeExpectation } from "../../src/wire/expectation.ts";
import { CTL, FLAG_ALIVE, FLAG_HELLO, frameLength, HEADER_BYTES, putHeader } from "../../src/wire/header.ts";
import { withMark, withoutAge } from "./lines.ts";
import { Life } from "./replay.ts";

interface Probe {
  readonly mode: "NOTRACK" | "FTFW" | "ALARM";
  readonly probe: string;
  readonly first_seq: number;
  readonly datagram: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly cache_added: readonly string[];
  readonly cache_removed: readonly string[];
  readonly expect_added: readonly string[];
}

const PROBES = JSON.parse(
  readFileSync(join(import.meta.dir, "recordings/parser-probes/probes.json"), "utf8"),
) as readonly Probe[];

/** conntrackd stores these. A flow without protocol has no name, and a name that does not end is read from stale memory. */
const STRICTER: Readonly<Record<string, Counted>> = {
  "no l4proto attribute": { incomplete: 1 },
  "helper name without terminator (4 bytes)": { badPayload: 1 },
};

/** conntrackd's counters by the names of ours. `malformed` is their sum, `lost` the sequence tracking's. */
const NAMES: Readonly<Record<string, string>> = {
  truncated: "truncated",
  bad_size: "badSize",
  bad_version: "badVersion",
  bad_header: "badHeader",
  bad_payload: "badPayload",
};

type Counted = Readonly<Record<string, number>>;

const viewOf = (hex: string): DataView => new DataView(Uint8Array.fromHex(hex).buffer);
const aboutExpectations = (probe: Probe): boolean => probe.probe.startsWith("EXP_");

describe("a replica in FTFW mode", () => {
  const probes = PROBES.filter((probe) => probe.mode === "FTFW" && !aboutExpectations(probe));
  const limits = { resendQueue: 64, ackWindow: 300, inFlightMax: 64 };
  const life = new Life((owner) => new Ftfw(limits, 1, owner));
  let nowMs = 0;

  function keepAlive(flags: number, seq: number): void {
    const view = new DataView(new ArrayBuffer(HEADER_BYTES));
    putHeader(view, 0, CTL, FLAG_ALIVE | flags, HEADER_BYTES, seq);
    life.receive(view, nowMs);
    life.transmit(nowMs);
  }

  keepAlive(0, probes[0].first_seq - 1);

  test.each(probes.map((probe) => [probe.probe, probe] as const))("%s", (_, probe) => {
    nowMs += 100;
    const before = { ...life.replica.counters.wire };
    const linesBefore = life.externalLines(nowMs);
    const view = viewOf(probe.datagram);
    life.receive(view, nowMs);
    const after = life.replica.counters.wire;
    const raised = refusals
      .filter((name) => after[name] !== before[name])
      .map((name) => [name, after[name] - before[name]]);
    const lines = life.externalLines(nowMs);
    keepAlive(FLAG_HELLO, (probe.first_seq + countMessages(view)) >>> 0);

    const stricter = STRICTER[probe.probe];
    expect(Object.fromEntries(raised)).toEqual(stricter ?? renamed(probe.counters));
    const added = lines.filter((line) => !linesBefore.includes(line)).map(withoutAge);
    const removed = linesBefore.filter((line) => !lines.includes(line)).map(withoutAge);
    expect(added).toEqual(stricter ? [] : probe.cache_added.map(withMark));
    expect(removed).toEqual(probe.cache_removed.map(withMark));
  });
});

/** The counters of which a refused message raises exactly one. */
const refusals = ["truncated", "badSize", "badVersion", "badHeader", "badPayload", "incomplete"] as const;

function renamed(counters: Counted): Counted {
  const known = Object.entries(counters).filter(([name]) => name in NAMES);
  return Object.fromEntries(known.map(([name, count]) => [NAMES[name], count]));
}

/** Messages in a probe's datagram, a broken one included: each had a number of its own. */
function countMessages(view: DataView): number {
  let count = 0;
  for (let at = 0; at < view.byteLength; ) {
    const lengthBytes = frameLength(view, at, view.byteLength);
    count++;
    if (lengthBytes < 0) break;
    at += lengthBytes;
  }
  return count;
}

describe("the expectation decoder", () => {
  test.each(PROBES.filter(aboutExpectations).map((probe) => [`${probe.mode}: ${probe.probe}`, probe] as const))(
    "%s",
    (_, probe) => {
      const view = viewOf(probe.datagram);
      const expectation = decodeExpectation(view, 0, view.byteLength);
      if (probe.counters.bad_payload === 1) expect(expectation).toBe("badPayload");
      else if (typeof expectation === "string") throw new Error(expectation);
      else expect([withoutAge(expectationLine(expectation, 0))]).toEqual([...probe.expect_added]);
    },
  );
});

/** What frames, and so what is truncated or of a bad size, does not depend on the mode. */
test.each(PROBES.map((probe) => [`${probe.mode}: ${probe.probe}`, probe] as const))("frames of %s", (_, probe) => {
  const view = viewOf(probe.datagram);
  let broken = 0;
  for (let at = 0; at < view.byteLength; ) {
    const lengthBytes = frameLength(view, at, view.byteLength);
    if (lengthBytes < 0) broken = lengthBytes;
    at += lengthBytes < 0 ? view.byteLength : lengthBytes;
  }
  expect(broken).toBe(probe.counters.truncated ? -1 : probe.counters.bad_size ? -2 : 0);
});
