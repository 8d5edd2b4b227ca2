/** A flow as one number of all that the sync protocol carries of it, and nothing that depends on time or side. */
import {
  FLOW_WORDS,
  type Flow,
  HAS,
  INFO,
  ORIG_SRC,
  PROTO,
  REPLY_PORTS,
  SEQADJ,
  STATUS,
  TIMEOUT,
} from "../../src/flow/flow.ts";

const STATE = 0xff;
/** Which state of a flow this is: the model numbers all states of all flows, and hides the number in a word of SEQADJ. */
export const VERSION = SEQADJ;

/** An attribute that nobody named is as one of value 0. */
export function flowDigest({ words }: Flow): number {
  let hash = 0x811c9dc5;
  for (let i = PROTO; i < FLOW_WORDS; i++) {
    if (i === HAS || i === TIMEOUT) continue;
    hash = Math.imul(hash ^ (i === INFO ? words[i] & STATE : words[i]), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** The model's number of a flow: its tuple is made from it (kernel.ts). */
export const ORIG_NET = 0x0a000000;
export const idOf = (words: Uint32Array): number => (words[ORIG_SRC] - ORIG_NET) >>> 0;

export const describeFlow = ({ words }: Flow): string =>
  `flow ${idOf(words)} version ${words[VERSION]} [${Array.from(words.slice(PROTO, REPLY_PORTS + 1), hex).join(" ")} | ` +
  `${Array.from(words.slice(STATUS), hex)
    .join(" ")
    .replace(/( 0)+$/, "")}]`;

const hex = (word: number): string => word.toString(16);
