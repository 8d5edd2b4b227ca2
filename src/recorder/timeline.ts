/**
 * A failover, put together from the records around it: when keepalived made this node primary, or took that from it. Its
 * times count from keepalived's word.
 */
import type { FlightRecord, Kind } from "./record.ts";
import { sentence } from "./sentence.ts";

/** What came before the word, and after it, and still belongs to it. */
const BEFORE_MS = 30_000;
const AFTER_MS = 120_000;

export interface Moment {
  readonly atMs: number;
  readonly kind: Kind | "unknown";
  readonly text: string;
}

export interface Phase {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Failover {
  readonly from: string;
  readonly to: string;
  /** Time of day of keepalived's word, and the daemon's start that it fell into. */
  readonly wallMs: number;
  readonly life: number;
  readonly moments: readonly Moment[];
  readonly phases: readonly Phase[];
  readonly summary: Summary;
}

/** Null: it did not come to that. */
export interface Summary {
  /** How long the peer had been silent when keepalived spoke. */
  readonly silentMs: number | null;
  readonly commitMs: number | null;
  readonly created: number;
  readonly updated: number;
  readonly refused: number;
  /** Refused flows by reason; flows committed without something. */
  readonly refusals: readonly Reason[];
  readonly lessened: readonly Reason[];
  /** From the word until the first packet that came to be forwarded, and the first after the commit. */
  readonly firstPacketMs: number | null;
  readonly firstPacketAfterCommitMs: number | null;
  /** From the word until the last step was done, and whether all succeeded. */
  readonly doneMs: number | null;
  readonly ok: boolean | null;
  readonly splitBrain: boolean;
}
export interface Reason {
  readonly why: string;
  readonly flows: number;
}

/** Every failover that the records tell of, oldest first. Records come as `readRing` gives them. */
export function failovers(records: readonly FlightRecord[]): Failover[] {
  const changes = changesIn(records);
  return changes.map((change, i) => {
    const after = i === 0 ? -1 : changes[i - 1].at;
    const from = firstOf(records, change.at, after);
    const next = changes[i + 1];
    const to = next === undefined ? records.length : firstOf(records, next.at, change.at);
    const word = records[change.at];
    const own = records
      .slice(from, to)
      .filter(({ life, atMs }) => life === word.life && atMs - word.atMs <= AFTER_MS)
      .map((record) => ({ ...record, atMs: record.atMs - word.atMs }))
      .sort((one, other) => one.atMs - other.atMs || one.seq - other.seq);
    return {
      from: change.from,
      to: word.text,
      wallMs: word.wallMs,
      life: word.life,
      moments: own.map((record) => ({ atMs: record.atMs, kind: record.kind, text: sentence(record) })),
      phases: phasesOf(own),
      summary: summaryOf(own, word.text),
    };
  });
}

interface Change {
  readonly at: number;
  readonly from: string;
}

/** Where a word made this node primary, or ended that. */
function changesIn(records: readonly FlightRecord[]): Change[] {
  const changes: Change[] = [];
  let life = -1;
  let role = "unknown";
  for (const [at, record] of records.entries()) {
    if (record.life !== life) role = "unknown";
    life = record.life;
    if (record.kind !== "role" || record.text === role) continue;
    if (role === "master" || record.text === "master") changes.push({ at, from: role });
    role = record.text;
  }
  return changes;
}

/** The first record that belongs to the change at `at`. Those of an earlier change are its own, up to its end. */
function firstOf(records: readonly FlightRecord[], at: number, after: number): number {
  const word = records[at];
  let first = at;
  while (first - 1 > after) {
    const { life, kind, atMs } = records[first - 1];
    const isEarlier = kind === "role" || kind === "role-done" || kind === "step" || kind === "stop";
    if (life !== word.life || isEarlier || (kind !== "peer-last" && word.atMs - atMs > BEFORE_MS)) break;
    first--;
  }
  return first;
}

type Relative = readonly FlightRecord[];
const find = (records: Relative, kind: Kind, text?: string): FlightRecord | undefined =>
  records.find((record) => record.kind === kind && (text === undefined || record.text.startsWith(text)));

function phasesOf(records: Relative): Phase[] {
  const phases: Phase[] = [];
  const add = (name: string, fromMs: number | undefined, toMs: number | undefined): void => {
    if (fromMs !== undefined && toMs !== undefined && toMs >= fromMs) phases.push({ name, fromMs, toMs });
  };
  const last = find(records, "peer-last")?.atMs;
  if (find(records, "role", "master")) add("peer silent", last, 0);
  add("gate closed", find(records, "gate", "closed")?.atMs, find(records, "gate", "opened")?.atMs);
  for (const end of records) {
    if (end.kind === "commit-end") add(end.atMs < 0 ? "commit ahead" : "commit", end.atMs - end.d, end.atMs);
    const step = end.kind === "step" ? end.text.slice(0, end.text.indexOf(":")) : "commit";
    if (step !== "commit") add(step, end.atMs - end.a, end.atMs);
  }
  const packet = find(records, "forward", "after") ?? find(records, "forward");
  add("until a packet is forwarded", Math.min(0, find(records, "addresses", "+")?.atMs ?? 0), packet?.atMs);
  return phases.sort((one, other) => one.fromMs - other.fromMs);
}

function summaryOf(records: Relative, role: string): Summary {
  const last = find(records, "peer-last");
  // What was committed before keepalived spoke, ahead of a handover or by hand, is no part of it.
  const ends = records.filter(({ kind, atMs }) => kind === "commit-end" && atMs >= 0);
  // The work of the role before may end later: it waits for a peer that has died.
  const done = records.findLast(({ kind, text }) => kind === "role-done" && text === role);
  const sum = (number: (record: FlightRecord) => number): number =>
    ends.reduce((total, record) => total + number(record), 0);
  const reasons = (kind: Kind): Reason[] =>
    records
      .filter((record) => record.kind === kind && record.atMs >= 0)
      .map(({ text, a }) => ({ why: text, flows: a }));
  const [end] = ends;
  return {
    silentMs: last === undefined ? null : -last.atMs,
    commitMs: end === undefined ? null : end.d,
    created: sum(({ a }) => a),
    updated: sum(({ b }) => b),
    refused: sum(({ c }) => c),
    refusals: reasons("refused"),
    lessened: reasons("lessened"),
    firstPacketMs: find(records, "forward")?.atMs ?? null,
    firstPacketAfterCommitMs: find(records, "forward", "after")?.atMs ?? null,
    doneMs: done?.atMs ?? null,
    ok: done === undefined ? null : done.b === 1,
    splitBrain: find(records, "split-brain") !== undefined,
  };
}
