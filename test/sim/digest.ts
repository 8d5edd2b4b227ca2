/** A flow as text that says all the sync protocol carries of it, and nothing that depends on the time or the side. */
import {
  type Flow,
  HAS,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_SEQADJ,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HELPER,
  INFO,
  LABELS,
  MARK,
  MASTER_PROTO,
  PROTO,
  REPLY_PORTS,
  SEQADJ,
  STATUS,
  SYNPROXY,
  VTAG_REPLY,
} from "../../src/flow/flow.ts";

const CARRIED =
  HAS_STATUS | HAS_TIMEOUT | HAS_MARK | HAS_STATE | HAS_LABELS | HAS_HELPER | HAS_MASTER | HAS_SEQADJ | HAS_SYNPROXY;

export function flowDigest(flow: Flow): string {
  const words = flow.words;
  const part = (from: number, to: number): string =>
    Array.from(words.slice(from, to), (word) => word.toString(16)).join(".");
  return [
    part(PROTO, REPLY_PORTS + 1),
    (words[HAS] & CARRIED).toString(16),
    part(STATUS, STATUS + 1),
    part(MARK, MARK + 1),
    (words[INFO] & 0xff).toString(16),
    part(INFO + 1, VTAG_REPLY + 1),
    part(LABELS, HELPER),
    part(HELPER, MASTER_PROTO),
    part(MASTER_PROTO, SEQADJ),
    part(SEQADJ, SYNPROXY + 3),
  ].join(" ");
}
