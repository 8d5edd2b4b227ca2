/**
 * Which slots hold the flows with some reply tuples, told by one walk over all slots: 2 ms for 100,000 and 128 tuples, 8 to
 * 10 for 500,000. An index of reply tuples would take 20 to make for 100,000, for the few packets that a takeover's commit is asked about.
 *
 *   while (scan.wants(tuple)) …          false: no more for this walk
 *   scan.walk(slots, found)              goes on with so many slots; the tuples are forgotten at the end
 */
import { KEY_WORDS, ORIG_PORTS } from "../flow/flow.ts";
import { mirror } from "../flow/reply.ts";
import type { FlowTable } from "./flow-table.ts";

/** Of one walk. */
export const TUPLES_MAX = 128;
/** Ports of a reply tuple are told apart by so many bits before the tuple is looked at. */
const MARK_BITS = 12;
const GOLDEN = 0x9e3779b1;

/** Where the ports of a reply tuple are marked. */
export const replyMark = (ports: number): number => Math.imul(ports, GOLDEN) >>> (32 - MARK_BITS);

export class ReplyScan {
  readonly #table: FlowTable;
  readonly #marks = new Uint8Array(new ArrayBuffer(1 << MARK_BITS));
  /** Each as it came, and as it is mirrored. */
  readonly #tuples = new Uint32Array(new ArrayBuffer(2 * TUPLES_MAX * KEY_WORDS * 4));
  readonly #key = new Uint32Array(new ArrayBuffer(KEY_WORDS * 4));
  #count = 0;
  #from = 0;

  constructor(table: FlowTable) {
    this.#table = table;
  }

  /** Tuples are looked for. */
  get isUnderWay(): boolean {
    return this.#count > 0;
  }

  /** Looks for flows whose reply tuple this is, or mirrors: it is in words 0 to 9, as an original one would be. False: no room. */
  wants(tuple: Uint32Array): boolean {
    if (this.#count === 2 * TUPLES_MAX) return false;
    this.#add(tuple);
    mirror(tuple);
    this.#add(tuple);
    mirror(tuple);
    return true;
  }

  walk(slots: number, found: (slot: number) => void): void {
    const end = Math.min(this.#from + slots, this.#table.end);
    for (let slot = this.#from; this.#count > 0; slot++) {
      slot = this.#table.nextReply(slot, end, this.#marks);
      if (slot === end) break;
      this.#table.replyKey(slot, this.#key);
      if (this.#isWanted()) found(slot);
    }
    this.#from = end;
    if (end === this.#table.end) this.#forget();
  }

  #add(tuple: Uint32Array): void {
    const at = this.#count++ * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) this.#tuples[at + i] = tuple[i];
    this.#marks[replyMark(tuple[ORIG_PORTS])] = 1;
  }

  /** Ports differ most, and are looked at first. */
  #isWanted(): boolean {
    const end = this.#count * KEY_WORDS;
    for (let at = 0; at < end; at += KEY_WORDS) {
      let i = ORIG_PORTS;
      while (i >= 0 && this.#tuples[at + i] === this.#key[i]) i--;
      if (i < 0) return true;
    }
    return false;
  }

  #forget(): void {
    this.#count = 0;
    this.#from = 0;
    this.#marks.fill(0);
  }
}
