/**
 * Lays what an update says over what is known of a flow: an attribute that the update does not carry keeps its value.
 * The kernel's update events and the sync protocol's CT_UPDATE messages both mean exactly this.
 */
import {
  HAS,
  HAS_DNAT_ADDR,
  HAS_DNAT_PORT,
  HAS_HELPER,
  HAS_LABELS,
  HAS_MARK,
  HAS_MASTER,
  HAS_MASTER_PORTS,
  HAS_RARE,
  HAS_REPLY,
  HAS_SEQADJ,
  HAS_SNAT_ADDR,
  HAS_SNAT_PORT,
  HAS_STATE,
  HAS_STATUS,
  HAS_SYNPROXY,
  HAS_TIMEOUT,
  HAS_VTAGS,
  HAS_WSCALE,
  HELPER,
  INFO,
  IPPROTO_DCCP,
  LABELS,
  l4protoOf,
  MARK,
  MASTER_PORTS,
  MASTER_PROTO,
  PROTO,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  SEQADJ,
  STATUS,
  SYNPROXY,
  TIMEOUT,
  VTAG_ORIG,
  VTAG_REPLY,
} from "./flow.ts";

const STATE = 0xff;
const STATE_AND_ROLE = 0xffff;
const WSCALES = 0xffff00;

/** `target` becomes the flow it was, as changed by `update`. Both are `Flow` words with the same key. */
export function overlay(target: Uint32Array, update: Uint32Array): void {
  const has = update[HAS];
  if (has & HAS_REPLY) copyWords(target, update, REPLY_SRC, REPLY_PORTS + 1);
  if (has & HAS_DNAT_ADDR) copyWords(target, update, REPLY_SRC, REPLY_DST);
  if (has & HAS_SNAT_ADDR) copyWords(target, update, REPLY_DST, REPLY_PORTS);
  if (has & HAS_DNAT_PORT) target[REPLY_PORTS] = (target[REPLY_PORTS] & 0xffff) | (update[REPLY_PORTS] & 0xffff0000);
  if (has & HAS_SNAT_PORT) target[REPLY_PORTS] = (target[REPLY_PORTS] & 0xffff0000) | (update[REPLY_PORTS] & 0xffff);
  if (has & HAS_STATUS) target[STATUS] = update[STATUS];
  if (has & HAS_TIMEOUT) target[TIMEOUT] = update[TIMEOUT];
  if (has & HAS_MARK) target[MARK] = update[MARK];
  if (has & HAS_STATE) {
    const mask = l4protoOf(target[PROTO]) === IPPROTO_DCCP ? STATE_AND_ROLE : STATE;
    target[INFO] = (target[INFO] & ~mask) | (update[INFO] & mask);
  }
  if (has & HAS_WSCALE) target[INFO] = (target[INFO] & ~WSCALES) | (update[INFO] & WSCALES);
  if (has & HAS_VTAGS) {
    target[VTAG_ORIG] = update[VTAG_ORIG];
    target[VTAG_REPLY] = update[VTAG_REPLY];
  }
  if (has & HAS_RARE) overlayRare(target, update, has);
  target[HAS] |= has;
}

function overlayRare(target: Uint32Array, update: Uint32Array, has: number): void {
  if (has & HAS_LABELS) copyWords(target, update, LABELS, HELPER);
  if (has & HAS_HELPER) copyWords(target, update, HELPER, MASTER_PROTO);
  if (has & HAS_MASTER) copyWords(target, update, MASTER_PROTO, MASTER_PORTS);
  if (has & HAS_MASTER_PORTS) target[MASTER_PORTS] = update[MASTER_PORTS];
  if (has & HAS_SEQADJ) copyWords(target, update, SEQADJ, SYNPROXY);
  if (has & HAS_SYNPROXY) copyWords(target, update, SYNPROXY, SYNPROXY + 3);
}

function copyWords(target: Uint32Array, source: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) target[i] = source[i];
}

/** Attributes that only a flow which has them names: first word, one past the last, HAS bits. */
const OPTIONAL = [
  [LABELS, HELPER, HAS_LABELS],
  [HELPER, MASTER_PROTO, HAS_HELPER],
  [MASTER_PROTO, SEQADJ, HAS_MASTER | HAS_MASTER_PORTS],
  [SEQADJ, SYNPROXY, HAS_SEQADJ],
  [SYNPROXY, SYNPROXY + 3, HAS_SYNPROXY],
] as const;

/** `target` loses what a message that tells all of a flow, with these HAS bits, does not name. */
export function leaveUnnamed(target: Uint32Array, has: number): void {
  if ((has & HAS_MARK) === 0) target[MARK] = 0;
  if ((target[HAS] & ~has & HAS_RARE) === 0) return;
  for (const [from, end, bits] of OPTIONAL) {
    if ((has & bits) !== 0) continue;
    target.fill(0, from, end);
    target[HAS] &= ~bits;
  }
}

/** Whether a flow that was `before` is now without something, or translated otherwise: no update can say that (CT_NEW can). */
export function hasLost(before: Uint32Array, after: Uint32Array): boolean {
  for (let i = REPLY_SRC; i <= REPLY_PORTS; i++) if (before[i] !== after[i]) return true;
  if ((before[HAS] & HAS_RARE) === 0) return false;
  for (const [from, end] of OPTIONAL) if (isAny(before, from, end) && !isAny(after, from, end)) return true;
  return false;
}

function isAny(words: Uint32Array, from: number, end: number): boolean {
  for (let i = from; i < end; i++) if (words[i] !== 0) return true;
  return false;
}
