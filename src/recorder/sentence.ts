/** What a record says, in one line for people. */
import type { Note } from "./record.ts";

export function sentence(note: Note): string {
  const { a, b, c, d, text } = note;
  switch (note.kind) {
    case "start":
      return `ctsync ${text} starts (pid ${a})`;
    case "stop":
      return "ctsync stops";
    case "role":
      return `keepalived says ${text} (external ${flows(a)}, internal ${grouped(b)})`;
    case "role-done":
      return `${text}: ${b === 1 ? "done" : "done, but failed in part"} after ${milliseconds(a)}`;
    case "step":
      return b === 1 ? text : `FAILED: ${text}`;
    case "peer-last":
      return `last datagram of ${text}`;
    case "peer":
      return a < 0 ? `peer ${text}` : `peer ${text}, heard ${milliseconds(a)} before`;
    case "link":
      return `link ${text}`;
    case "addresses":
      return `addresses ${text}`;
    case "gate":
      return `gate ${text}`;
    case "commit-begin":
      return `commit of ${flows(a)} begins`;
    case "commit-end":
      return `commit ends: ${flows(a)} created, ${grouped(b)} updated, ${grouped(c)} refused in ${milliseconds(d)}`;
    case "refused":
      return `${flows(a)} refused, ${text}`;
    case "lessened":
      return `${flows(a)} committed ${text}`;
    case "forward":
      return `first packet to forward ${text}`;
    case "proof":
      if (a < 0) return `never proved equal with ${text}`;
      return `proved equal with ${text} ${milliseconds(a)} before, over ${flows(b)}${c > 0 ? `; ${grouped(c)} buckets differed last` : ""}`;
    case "split-brain":
      return `both firewalls are primary: ${text}`;
    case "overrun":
      return "the kernel dropped events: its table is read again";
    case "handover":
      return `handover: ${text}`;
    case "taken-on":
      return `${flows(a)} of the other primary taken on, ${grouped(c)} refused in ${milliseconds(d)}`;
    case "unknown":
      return `something a later version of ctsync knows: ${text}`;
    default:
      return note.kind satisfies never;
  }
}

export const flows = (count: number): string => (count === 1 ? "1 flow" : `${grouped(count)} flows`);
export const grouped = (count: number): string => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");

/** A time in the unit that suits it, with about three digits. */
export function milliseconds(value: number): string {
  const size = Math.abs(value);
  if (size >= 99_950) return `${grouped(value / 1_000)} s`;
  if (size >= 999.5) return `${(value / 1_000).toFixed(size < 9_995 ? 2 : 1)} s`;
  return `${value.toFixed(size < 10 ? 2 : size < 99.95 ? 1 : 0)} ms`;
}
