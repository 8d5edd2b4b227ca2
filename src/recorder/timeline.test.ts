import { describe, expect, test } from "bun:test";
import type { FlightRecord, Kind } from "./record.ts";
import { failovers } from "./timeline.ts";
import { timelineSvg } from "./timeline-svg.ts";
import { failoverText } from "./timeline-text.ts";

/** Writes a history as the daemon would. */
class Pen {
  readonly records: FlightRecord[] = [];
  life = 0;
  /** The wall clock, less the other one. */
  wallMs = Date.UTC(2026, 0, 2, 3, 4, 5);

  note(kind: Kind, atMs: number, text = "", numbers: Partial<Record<"a" | "b" | "c" | "d", number>> = {}): this {
    if (kind === "start") this.life++;
    const seq = this.records.length + 1;
    const wallMs = this.wallMs + atMs;
    this.records.push({ kind, atMs, text, seq, wallMs, life: this.life, a: 0, b: 0, c: 0, d: 0, ...numbers });
    return this;
  }

  takeover(atMs: number): this {
    this.note("addresses", atMs - 3, "+192.168.10.1 +203.0.113.1");
    this.note("peer-last", atMs - 700, "10.0.9.1").note("role", atMs, "master", { a: 6, b: 2 });
    this.note("commit-begin", atMs + 0.5, "", { a: 6 });
    this.note("commit-end", atMs + 2.5, "", { a: 5, b: 0, c: 1, d: 2 });
    this.note("refused", atMs + 2.5, "ENOENT: its master is unknown", { a: 1 });
    this.note("step", atMs + 2.5, "commit: 1 of 6 flows could not be committed", { a: 2, b: 0 });
    this.note("forward", atMs + 1, "before the commit", { a: 1 });
    this.note("forward", atMs + 4, "after the commit", { a: 3 });
    this.note("step", atMs + 12, "resync: read 8 flows from the kernel", { a: 9, b: 1 });
    return this.note("role-done", atMs + 3_500, "master", { a: 3_500, b: 0 });
  }
}

describe("failovers", () => {
  test("begin with keepalived's word, and count from it", () => {
    const pen = new Pen().note("start", 0, "0.1.0").note("role", 100, "backup").note("role-done", 400, "backup");
    pen.note("peer", 99_500, "10.0.9.1 silent", { a: 200 }).takeover(100_000);
    const [failover, ...others] = failovers(pen.records);
    expect(others).toEqual([]);
    expect(failover).toMatchObject({ from: "backup", to: "master", life: 1 });
    expect(failover?.summary).toEqual({
      ...{ silentMs: 700, commitMs: 2, created: 5, updated: 0, refused: 1, lessened: [] },
      refusals: [{ why: "ENOENT: its master is unknown", flows: 1 }],
      ...{ firstPacketMs: 1, firstPacketAfterCommitMs: 4, doneMs: 3_500, ok: false, splitBrain: false },
    });
    expect(failover?.moments.map(({ atMs, kind }) => `${atMs} ${kind}`)).toEqual([
      ...["-700 peer-last", "-500 peer", "-3 addresses", "0 role", "0.5 commit-begin", "1 forward"],
      ...["2.5 commit-end", "2.5 refused", "2.5 step", "4 forward", "12 step", "3500 role-done"],
    ]);
    expect(failover?.phases).toEqual([
      { name: "peer silent", fromMs: -700, toMs: 0 },
      { name: "until a packet is forwarded", fromMs: -3, toMs: 4 },
      { name: "commit", fromMs: 0.5, toMs: 2.5 },
      { name: "resync", fromMs: 3, toMs: 12 },
    ]);
  });

  test("are what makes a node primary and what ends that, said once or more often", () => {
    const pen = new Pen().note("start", 0, "0.1.0").note("role", 1, "backup");
    for (const [i, role] of ["master", "master", "fault", "backup", "master", "backup"].entries())
      pen.note("role", 1_000 * (i + 1), role).note("role-done", 1_000 * (i + 1) + 5, role, { a: 5, b: 1 });
    const found = failovers(pen.records);
    expect(found.map(({ from, to }) => `${from} ${to}`)).toEqual([
      ...["backup master", "master fault", "backup master", "master backup"],
    ]);
    expect(found[0]?.moments.filter(({ kind }) => kind === "role")).toHaveLength(2);
  });

  test("do not count what was committed ahead of them", () => {
    const pen = new Pen()
      .note("start", 0, "0.1.0")
      .note("role", 1, "backup")
      .note("commit-begin", 90_000, "", { a: 7 });
    pen.note("commit-end", 90_004, "", { a: 7, d: 4 }).note("refused", 90_004, "ENOMEM: it is full", { a: 3 });
    const [failover] = failovers(pen.takeover(100_000).records);
    expect(failover?.summary).toMatchObject({ created: 5, commitMs: 2, refusals: [{ flows: 1 }] });
    expect(failover?.phases).toContainEqual({ name: "commit ahead", fromMs: -10_000, toMs: -9_996 });
  });

  test("of different lives of the daemon do not mix, though its clock begins anew", () => {
    const pen = new Pen().note("start", 0, "0.1.0").takeover(50_000).note("stop", 60_000);
    pen.note("start", 0, "0.1.0").note("link", 10, "eth2 up").takeover(100);
    const found = failovers(pen.records);
    expect(found.map(({ life }) => life)).toEqual([1, 2]);
    expect(found[0]?.moments.some(({ kind }) => kind === "stop")).toBe(true);
    expect(found[1]?.moments.map(({ kind }) => kind)).toContain("link");
    expect(found[1]?.moments).toHaveLength(13);
  });

  test("stay in order when the time of day was set back", () => {
    const pen = new Pen().note("start", 0, "0.1.0").takeover(10_000).note("role", 20_000, "backup");
    pen.wallMs -= 86_400_000;
    pen.takeover(30_000);
    expect(failovers(pen.records).map(({ to }) => to)).toEqual(["master", "backup", "master"]);
  });

  test("of a history whose beginning was overwritten are told as far as it goes", () => {
    const pen = new Pen().note("start", 0, "0.1.0").takeover(10_000).takeover(20_000);
    for (let from = 0; from < pen.records.length; from++) {
      for (const failover of failovers(pen.records.slice(from))) expect(failoverText(failover)).toContain("takeover");
    }
  });
});

const example = (): Pen => new Pen().note("start", 0, "0.1.0").note("role", 1, "backup").takeover(100_000);

test("the text has a line for each moment, its time first", () => {
  const [failover] = failovers(example().records);
  expect(failoverText(failover!)).toBe(
    `takeover: backup to master at 2026-01-02 03:05:45.000 UTC
the peer had been silent for 700 ms
5 flows created and 0 updated in 2.00 ms, 1 refused
1 flow refused, ENOENT: its master is unknown
first packet to forward 4.00 ms after keepalived's word
FAILED in part after 3.50 s

   -700 ms  last datagram of 10.0.9.1
  -3.00 ms  addresses +192.168.10.1 +203.0.113.1
   0.00 ms  keepalived says master (external 6 flows, internal 2)
  +0.50 ms  commit of 6 flows begins
  +1.00 ms  first packet to forward before the commit
  +2.50 ms  commit ends: 5 flows created, 0 updated, 1 refused in 2.00 ms
  +2.50 ms  1 flow refused, ENOENT: its master is unknown
  +2.50 ms  FAILED: commit: 1 of 6 flows could not be committed
  +4.00 ms  first packet to forward after the commit
  +12.0 ms  resync: read 8 flows from the kernel
   +3.50 s  master: done, but failed in part after 3.50 s`,
  );
});

describe("the picture", () => {
  const pen = example()
    .note("split-brain", 101_000, `begins <&"${"x".repeat(170)}`)
    .note("gate", 101_000, "closed\x07");
  const svg = timelineSvg(failovers(pen.records));
  const number = (text: string, name: string): number => Number(new RegExp(` ${name}="([-\\d.]+)"`).exec(text)?.[1]);

  test("is well-formed, whatever the texts say", () => {
    expect(svg).not.toMatch(/&(?!amp;|lt;|gt;)/);
    expect([...svg].filter((character) => character < " " && character !== "\n")).toEqual([]);
    const open: string[] = [];
    for (const [, close, name = "", empty] of svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
      if (close === "/") expect(open.pop()).toBe(name);
      else if (empty !== "/") open.push(name);
    }
    expect(open).toEqual([]);
  });

  test("has a bar of at least two pixels for each phase, and nothing leaves the page", () => {
    const width = number(svg, "width");
    const bars = [...svg.matchAll(/<rect class="(?:bar|lost)"[^>]*>/g)].map(([bar]) => bar);
    expect(bars).toHaveLength(4);
    for (const bar of bars) {
      expect(number(bar, "width")).toBeGreaterThanOrEqual(2);
      expect(number(bar, "x") + number(bar, "width")).toBeLessThanOrEqual(width);
    }
    for (const [text] of svg.matchAll(/<text [^>]*>/g)) expect(number(text, "x")).toBeWithin(0, width);
  });

  test("says the length of a bar that spans the whole axis", () => {
    const whole = new Pen()
      .note("start", 0, "0.1.0")
      .note("role", 1, "master")
      .note("step", 3_541, "bulk: done", { a: 3_540 });
    expect(timelineSvg(failovers(whole.records))).toContain(">3.54 s</text>");
    const before = new Pen().note("start", 0).note("peer-last", 1, "p").note("role", 20_001, "master");
    expect(timelineSvg(failovers(before.records))).toContain(">20.0 s</text>");
  });

  test("has each label of phases and moments on a line of its own", () => {
    const rows = [...svg.matchAll(/<text class="[^"]*halo"[^>]*>/g)].map(([text]) => number(text, "y"));
    expect(new Set(rows).size).toBe(rows.length);
  });
});
