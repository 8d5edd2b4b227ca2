/**
 * A flow as the ctnetlink request that makes the kernel hold it: the reverse of ctnetlink.ts.
 *
 * A flow that is created is described whole. One that stands already takes no NAT, master or zone any more (the kernel
 * answers EOPNOTSUPP), so `encodeUpdate` leaves them out. `omit` names what else to leave out, after the kernel refused it.
 * What the kernel takes, and what it answers otherwise, was found by experiment: kernel-commit.test.ts.
 */
import * as f from "../flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY } from "../flow/status.ts";
import * as cta from "./ctnetlink-attributes.ts";
import { encodeNat, isTranslated } from "./encode-nat.ts";
import { encodeIdentity, encodeMaster, encodeTuples } from "./encode-tuple.ts";
import type { MessageWriter } from "./message-writer.ts";

export const OMIT_HELPER = 1;
export const OMIT_STATUS = 2;
export const OMIT_LABELS = 4;
const OMIT_SEQADJ = 8;
const OMIT_SYNPROXY = 16;

/** Reply tuple that a flow has before NAT: the mirror of its original one. */
const mirror = new Uint32Array(new ArrayBuffer(9 * 4));

/** The attributes of a flow that the kernel does not hold yet. */
export function encodeCreate(to: MessageWriter, words: Uint32Array, timeoutSeconds: number, omit: number): void {
  if (isTranslated(words)) {
    mirrorTuple(words);
    encodeTuples(to, words, mirror, 0);
    encodeNat(to, words);
  } else {
    encodeTuples(to, words, words, f.REPLY_SRC);
  }
  if ((words[f.HAS] & f.HAS_MASTER) !== 0) encodeMaster(to, words);
  if ((words[f.HAS] & f.HAS_STATUS) !== 0) to.u32(cta.CTA_STATUS, takenStatus(words));
  encodeProperties(to, words, timeoutSeconds, omit | zeroExtensions(words));
}

/** The attributes of a flow that the kernel holds, as far as it lets them be changed. */
export function encodeUpdate(to: MessageWriter, words: Uint32Array, timeoutSeconds: number, omit: number): void {
  encodeIdentity(to, words);
  if ((omit & OMIT_STATUS) === 0 && (words[f.HAS] & f.HAS_STATUS) !== 0) {
    // Refused unless EXPECTED is as it is in the kernel, which has it exactly when the flow has a master.
    to.u32(cta.CTA_STATUS, takenStatus(words) | (words[f.HAS] & f.HAS_MASTER ? IPS_EXPECTED : 0));
  }
  encodeProperties(to, words, timeoutSeconds, omit);
}

/** The kernel sets the other bits itself, from NAT, master, helper and sequence adjustment. */
const takenStatus = (words: Uint32Array): number => (words[f.STATUS] & (IPS_SEEN_REPLY | IPS_ASSURED)) | IPS_CONFIRMED;

/** What is all zero, as a new entry has it by itself: the kernel names such a SYNPROXY for every flow made through ctnetlink. */
function zeroExtensions(words: Uint32Array): number {
  let omit = OMIT_SEQADJ | OMIT_SYNPROXY;
  for (let i = f.SEQADJ; i < f.SYNPROXY; i++) if (words[i] !== 0) omit &= ~OMIT_SEQADJ;
  for (let i = f.SYNPROXY; i < f.SYNPROXY + 3; i++) if (words[i] !== 0) omit &= ~OMIT_SYNPROXY;
  return omit;
}

function encodeProperties(to: MessageWriter, words: Uint32Array, timeoutSeconds: number, omit: number): void {
  const has = words[f.HAS];
  to.u32(cta.CTA_TIMEOUT, timeoutSeconds);
  if ((has & f.HAS_MARK) !== 0) to.u32(cta.CTA_MARK, words[f.MARK]);
  if ((has & f.HAS_STATE) !== 0) encodeProtocolInfo(to, words);
  if ((has & f.HAS_RARE) === 0) return;
  if ((omit & OMIT_HELPER) === 0) encodeHelper(to, words);
  if ((has & f.HAS_SEQADJ) !== 0 && (omit & OMIT_SEQADJ) === 0) {
    encodeSeqadj(to, cta.CTA_SEQ_ADJ_ORIG, words, f.SEQADJ);
    encodeSeqadj(to, cta.CTA_SEQ_ADJ_REPLY, words, f.SEQADJ + 3);
  }
  if ((has & f.HAS_SYNPROXY) !== 0 && (omit & OMIT_SYNPROXY) === 0) {
    const synproxy = to.nest(cta.CTA_SYNPROXY);
    to.u32(cta.CTA_SYNPROXY_ISN, words[f.SYNPROXY + 1]);
    to.u32(cta.CTA_SYNPROXY_ITS, words[f.SYNPROXY]);
    to.u32(cta.CTA_SYNPROXY_TSOFF, words[f.SYNPROXY + 2]);
    to.unnest(synproxy);
  }
  if ((has & f.HAS_LABELS) !== 0 && (omit & OMIT_LABELS) === 0) to.bitSet(cta.CTA_LABELS, words, f.LABELS);
}

function encodeProtocolInfo(to: MessageWriter, words: Uint32Array): void {
  const l4proto = f.l4protoOf(words[f.PROTO]);
  if (l4proto === f.IPPROTO_TCP) encodeTcp(to, words);
  else if (l4proto === f.IPPROTO_SCTP) encodeSctp(to, words);
}

/**
 * Both directions liberal: the kernel exports no window maxima, so it could not tell a good sequence number from a bad
 * one. It takes window scales only where both directions carry their flag.
 */
function encodeTcp(to: MessageWriter, words: Uint32Array): void {
  const info = words[f.INFO];
  const scaled = (words[f.HAS] & f.HAS_WSCALE) !== 0;
  const flags = scaled
    ? cta.IP_CT_TCP_FLAG_BE_LIBERAL | cta.IP_CT_TCP_FLAG_WINDOW_SCALE
    : cta.IP_CT_TCP_FLAG_BE_LIBERAL;
  const outer = to.nest(cta.CTA_PROTOINFO);
  const tcp = to.nest(cta.CTA_PROTOINFO_TCP);
  to.u8(cta.CTA_PROTOINFO_STATE, info & 0xff);
  if (scaled) {
    to.u8(cta.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, (info >>> 8) & 0xff);
    to.u8(cta.CTA_PROTOINFO_TCP_WSCALE_REPLY, (info >>> 16) & 0xff);
  }
  to.u16(cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, (flags << 8) | flags);
  to.u16(cta.CTA_PROTOINFO_TCP_FLAGS_REPLY, (flags << 8) | flags);
  to.unnest(tcp);
  to.unnest(outer);
}

/** Nothing of a TCP flow but that its sequence numbers may be anywhere, as of every flow that is committed. */
export function encodeLiberal(to: MessageWriter): void {
  const flags = (cta.IP_CT_TCP_FLAG_BE_LIBERAL << 8) | cta.IP_CT_TCP_FLAG_BE_LIBERAL;
  const outer = to.nest(cta.CTA_PROTOINFO);
  const tcp = to.nest(cta.CTA_PROTOINFO_TCP);
  to.u16(cta.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags);
  to.u16(cta.CTA_PROTOINFO_TCP_FLAGS_REPLY, flags);
  to.unnest(tcp);
  to.unnest(outer);
}

/** Told again to an entry that has it, a helper that follows sequence numbers (FTP) takes them up where they are next. */
export function encodeHelper(to: MessageWriter, words: Uint32Array): void {
  if ((words[f.HAS] & f.HAS_HELPER) === 0) return;
  const help = to.nest(cta.CTA_HELP);
  to.name(cta.CTA_HELP_NAME, words, f.HELPER);
  to.unnest(help);
}

/** The kernel refuses a state without both tags: 0 means that a tag is not known yet. */
function encodeSctp(to: MessageWriter, words: Uint32Array): void {
  const outer = to.nest(cta.CTA_PROTOINFO);
  const sctp = to.nest(cta.CTA_PROTOINFO_SCTP);
  to.u8(cta.CTA_PROTOINFO_STATE, words[f.INFO] & 0xff);
  to.u32(cta.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, words[f.VTAG_ORIG]);
  to.u32(cta.CTA_PROTOINFO_SCTP_VTAG_REPLY, words[f.VTAG_REPLY]);
  to.unnest(sctp);
  to.unnest(outer);
}

function encodeSeqadj(to: MessageWriter, type: number, words: Uint32Array, from: number): void {
  const seqadj = to.nest(type);
  to.u32(cta.CTA_SEQADJ_CORRECTION_POS, words[from]);
  to.u32(cta.CTA_SEQADJ_OFFSET_BEFORE, words[from + 1]);
  to.u32(cta.CTA_SEQADJ_OFFSET_AFTER, words[from + 2]);
  to.unnest(seqadj);
}

/** The untranslated reply: original source and destination exchanged, for ICMP the answering type. */
function mirrorTuple(words: Uint32Array): void {
  for (let i = 0; i < 4; i++) {
    mirror[i] = words[f.ORIG_DST + i];
    mirror[4 + i] = words[f.ORIG_SRC + i];
  }
  mirror[8] = mirroredPorts(words);
}

function mirroredPorts(words: Uint32Array): number {
  const ports = words[f.ORIG_PORTS];
  // NAT changes an ICMP id, never type or code: the reply's are right already.
  if (f.isIcmp(f.l4protoOf(words[f.PROTO]))) return ((ports & 0xffff0000) | (words[f.REPLY_PORTS] & 0xffff)) >>> 0;
  return ((ports << 16) | (ports >>> 16)) >>> 0;
}
