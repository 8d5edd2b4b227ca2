/**
 * Commit: flows we hold become entries of the kernel's table, in batches.
 *
 *   if (!commit.hasRoom()) commit.flush();
 *   commit.add(flow, tag, timeoutSeconds);      tag: any number the caller wants back, such as a slot
 *   refused = commit.flush();                   commit.refusedTag(i), commit.refusedErrno(i) for i < refused
 *
 * A flow that stands already is updated in place, never deleted. The kernel creates or updates a plain flow by one
 * request; where NAT, a master or a helper is involved it refuses that, so such a flow is created exclusively (EXCL),
 * and updated when it stands (EEXIST), or the other way round while most are found standing (D-002). A flow that is
 * refused for one property alone goes in without it, and the loss is counted. Masters must be added and flushed before
 * their related flows, which the kernel refuses otherwise (ENOENT).
 */
import { Errno } from "../../ffi/errno.ts";
import * as f from "../flow/flow.ts";
import type { Result } from "../result.ts";
import { CT_NEW } from "./ctnetlink-attributes.ts";
import { encodeCreate, encodeUpdate, OMIT_HELPER, OMIT_LABELS, OMIT_STATUS } from "./encode-conntrack.ts";
import { isTranslated, isUntranslatable } from "./encode-nat.ts";
import { addressFamilyOf } from "./encode-tuple.ts";
import type { KernelError } from "./kernel-error.ts";
import { MissingHelpers } from "./missing-helpers.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./netlink.ts";
import { REQUESTS_MAX, RequestBatch } from "./request-batch.ts";

/** How a flow is asked for. CREATE_OR_UPDATE is for plain flows alone. */
const CREATE_OR_UPDATE = 0;
const CREATE = 1;
const UPDATE = 2;

/** Whether entries made on this host keep labels. */
const LABELS_UNKNOWN = 0;
const LABELS_TAKEN = 1;
const LABELS_IGNORED = 2;

/** Flows between two flushes. */
const FLOWS_MAX = REQUESTS_MAX;
/** The first request and one more for each property that may be refused, and for the change from one way to the other. */
const ROUNDS_MAX = 6;
const EVERY_OMISSION = OMIT_HELPER | OMIT_STATUS | OMIT_LABELS;
/** ETIME: the entry died between being found and being changed. */
const ETIME = 62;

export class KernelCommit {
  /** Flows the kernel took, by whatever way, since the start. */
  committed = 0;
  /** Flows the kernel refused for good. */
  refused = 0;
  /** Flows committed without their helper: this host has none of that name, or the standing entry has another or none. */
  helpersLost = 0;
  /** Flows committed without their labels: no rule of this host uses labels. */
  labelsLost = 0;

  readonly #batch: RequestBatch;
  readonly #flows = Array.from({ length: FLOWS_MAX }, () => new f.Flow());
  readonly #tags = new Float64Array(FLOWS_MAX);
  readonly #timeouts = new Uint32Array(FLOWS_MAX);
  readonly #ways = new Uint8Array(FLOWS_MAX);
  readonly #omissions = new Uint8Array(FLOWS_MAX);
  /** The refusal of a flow's last request, which the next round works on. */
  readonly #errnos = new Int32Array(FLOWS_MAX);
  /** The flow of each request of this round. */
  readonly #requested = new Uint16Array(FLOWS_MAX);
  readonly #refusedTags = new Float64Array(FLOWS_MAX);
  readonly #refusedErrnos = new Int32Array(FLOWS_MAX);
  readonly #missingHelpers = new MissingHelpers();
  #labels: typeof LABELS_UNKNOWN | typeof LABELS_TAKEN | typeof LABELS_IGNORED = LABELS_UNKNOWN;
  #count = 0;
  #refusedCount = 0;
  #mostStand = false;
  #stood = 0;
  #asked = 0;

  static open(): Result<KernelCommit, KernelError> {
    const batch = RequestBatch.open("commit flows to the kernel");
    return batch.ok ? { ok: true, value: new KernelCommit(batch.value) } : batch;
  }

  private constructor(batch: RequestBatch) {
    this.#batch = batch;
  }

  /** Events of this port id are what we committed. */
  get portId(): number {
    return this.#batch.portId;
  }

  /** Begins a new commit: what this host lacked, helpers and labels, may be there now. Counters go on. */
  start(): void {
    this.#missingHelpers.forget();
    this.#labels = LABELS_UNKNOWN;
  }

  /** Whether `add` takes one more flow before the next `flush`. */
  hasRoom(): boolean {
    return this.#count < FLOWS_MAX && this.#batch.hasRoom();
  }

  /**
   * Takes a copy of the flow. Its reply tuple must be there (HAS_REPLY or derived). `stands`: whether the caller believes that
   * the kernel has it, which saves a request where that is so.
   */
  add(flow: f.Flow, tag: number, timeoutSeconds: number, stands = this.#mostStand): void {
    if (!this.hasRoom()) throw new Error("add without room: flush first");
    const slot = this.#count++;
    const words = this.#flows[slot].words;
    words.set(flow.words);
    this.#tags[slot] = tag;
    this.#timeouts[slot] = Math.max(1, timeoutSeconds);
    this.#omissions[slot] = 0;
    this.#errnos[slot] = 0;
    if (isUntranslatable(words)) {
      this.#errnos[slot] = Errno.EOPNOTSUPP;
      return;
    }
    if ((words[f.HAS] & f.HAS_HELPER) !== 0 && this.#missingHelpers.has(words)) this.#omit(slot, OMIT_HELPER);
    if ((words[f.HAS] & f.HAS_LABELS) !== 0 && this.#labels === LABELS_IGNORED) this.#omit(slot, OMIT_LABELS);
    const plain = (words[f.HAS] & (f.HAS_MASTER | f.HAS_HELPER)) === 0 && !isTranslated(words);
    this.#ways[slot] = plain ? CREATE_OR_UPDATE : stands ? UPDATE : CREATE;
    this.#request(slot);
  }

  /** Sends what was added and sees it through; how many flows the kernel refused for good. */
  flush(): number {
    this.#refusedCount = 0;
    this.#stood = 0;
    this.#asked = 0;
    for (let slot = 0; slot < this.#count; slot++) if (this.#errnos[slot] !== 0) this.#refuse(slot);
    for (let round = 1; this.#batch.count > 0; round++) this.#round(round === ROUNDS_MAX);
    if (this.#labels === LABELS_UNKNOWN) this.#probeLabels();
    if (this.#asked > 0) this.#mostStand = this.#stood * 2 > this.#asked;
    this.refused += this.#refusedCount;
    this.committed += this.#count - this.#refusedCount;
    this.#count = 0;
    return this.#refusedCount;
  }

  /** Forgets what was added; the kernel hears nothing of it. */
  discard(): void {
    this.#batch.clear();
    this.#count = 0;
  }

  /** Of refusal i of the last flush: the tag its flow was added with. */
  refusedTag(i: number): number {
    return this.#refusedTags[i];
  }

  /** Of refusal i of the last flush: the kernel's errno, positive (explain-errno.ts says what it means). */
  refusedErrno(i: number): number {
    return this.#refusedErrnos[i];
  }

  close(): void {
    this.#batch.close();
  }

  /** Sends the requests and makes the next ones, of the flows that were refused for a reason we can do without. */
  #round(last: boolean): void {
    const count = this.#batch.count;
    const failure = this.#batch.send();
    for (let i = 0; i < count; i++) this.#errnos[this.#requested[i]] = failure < 0 ? -failure : this.#batch.errno(i);
    this.#batch.clear();
    for (let i = 0; i < count; i++) {
      const slot = this.#requested[i];
      this.#observe(slot);
      if (this.#errnos[slot] === 0) continue;
      if (failure < 0 || last || !this.#giveWay(slot)) this.#refuse(slot);
      else this.#request(slot);
    }
  }

  /**
   * An entry made where no rule uses labels takes none, and says nothing; changing it again does say so (ENOSPC). So the
   * first flow with labels is asked for twice, and speaks for all others.
   */
  #probeLabels(): void {
    for (let slot = 0; slot < this.#count; slot++) {
      if (!this.#keepsLabels(slot)) continue;
      this.#ways[slot] = UPDATE;
      this.#omissions[slot] |= OMIT_STATUS | OMIT_HELPER;
      this.#request(slot);
      const sent = this.#batch.send();
      const errno = this.#batch.errno(0);
      this.#batch.clear();
      if (sent < 0 || (errno !== 0 && errno !== Errno.ENOSPC)) return;
      this.#labels = errno === 0 ? LABELS_TAKEN : LABELS_IGNORED;
      break;
    }
    if (this.#labels !== LABELS_IGNORED) return;
    for (let slot = 0; slot < this.#count; slot++) if (this.#keepsLabels(slot)) this.labelsLost++;
  }

  #keepsLabels(slot: number): boolean {
    const has = this.#flows[slot].words[f.HAS];
    return (has & f.HAS_LABELS) !== 0 && (this.#omissions[slot] & OMIT_LABELS) === 0 && this.#errnos[slot] === 0;
  }

  #request(slot: number): void {
    const words = this.#flows[slot].words;
    const way = this.#ways[slot];
    const flags = way === CREATE ? NLM_F_CREATE | NLM_F_EXCL : way === UPDATE ? 0 : NLM_F_CREATE;
    this.#requested[this.#batch.count] = slot;
    this.#batch.begin(CT_NEW, flags, addressFamilyOf(words[f.PROTO]));
    if (way === UPDATE) encodeUpdate(this.#batch.writer, words, this.#timeouts[slot], this.#omissions[slot]);
    else encodeCreate(this.#batch.writer, words, this.#timeouts[slot], this.#omissions[slot]);
    this.#batch.end();
  }

  /** Changes how the flow is asked for next; false when nothing is left to try. */
  #giveWay(slot: number): boolean {
    const errno = this.#errnos[slot];
    const has = this.#flows[slot].words[f.HAS];
    const left = ~this.#omissions[slot] & EVERY_OMISSION;
    const way = this.#ways[slot];
    if (way === CREATE) {
      if (errno === Errno.EEXIST) return this.#goOn(slot, UPDATE);
      if (errno === Errno.EAGAIN) return true; // The kernel has just loaded the helper's module.
      if (errno !== Errno.EOPNOTSUPP || (has & f.HAS_HELPER) === 0 || (left & OMIT_HELPER) === 0) return false;
      this.#missingHelpers.add(this.#flows[slot].words);
      return this.#omit(slot, OMIT_HELPER);
    }
    if (way === UPDATE && (errno === Errno.ENOENT || errno === ETIME)) return this.#goOn(slot, CREATE);
    // From here on the flow stands: what it has that we may not change, stays.
    const helperRefused = errno === Errno.EBUSY || errno === Errno.EOPNOTSUPP;
    if (helperRefused && (has & f.HAS_HELPER) !== 0 && (left & OMIT_HELPER) !== 0) return this.#omit(slot, OMIT_HELPER);
    if (errno === Errno.EBUSY && (left & OMIT_STATUS) !== 0) {
      if (way === CREATE_OR_UPDATE) this.#ways[slot] = UPDATE;
      return this.#omit(slot, OMIT_STATUS);
    }
    if (errno === Errno.ENOSPC && (has & f.HAS_LABELS) !== 0 && (left & OMIT_LABELS) !== 0) {
      return this.#omit(slot, OMIT_LABELS);
    }
    return false;
  }

  /** Changes the way at most twice: a flow that exists and does not, has its reply tuple taken by another one. */
  #goOn(slot: number, way: number): boolean {
    if ((this.#omissions[slot] & TURNED_TWICE) !== 0) {
      this.#errnos[slot] = Errno.EEXIST;
      return false;
    }
    this.#omissions[slot] |= (this.#omissions[slot] & TURNED_ONCE) === 0 ? TURNED_ONCE : TURNED_TWICE;
    this.#ways[slot] = way;
    return true;
  }

  #omit(slot: number, property: number): true {
    this.#omissions[slot] |= property;
    if (property === OMIT_HELPER) this.helpersLost++;
    if (property === OMIT_LABELS) this.labelsLost++;
    return true;
  }

  /** Learns from the first answer to each flow that could go either way whether most of them stand already. */
  #observe(slot: number): void {
    const way = this.#ways[slot];
    if (way === CREATE_OR_UPDATE || (this.#omissions[slot] & (TURNED_ONCE | TURNED_TWICE)) !== 0) return;
    this.#asked++;
    if (way === CREATE ? this.#errnos[slot] === Errno.EEXIST : this.#errnos[slot] !== Errno.ENOENT) this.#stood++;
  }

  #refuse(slot: number): void {
    this.#refusedTags[this.#refusedCount] = this.#tags[slot];
    this.#refusedErrnos[this.#refusedCount++] = this.#errnos[slot];
  }
}

/** Beside the omissions: how often a flow changed between CREATE and UPDATE. */
const TURNED_ONCE = 0x40;
const TURNED_TWICE = 0x80;
