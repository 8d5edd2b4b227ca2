/**
 * FTFW recordings played into a replica in the place of one node: it must want to send exactly the acknowledgements (ACK) and
 * questions for what is missing (NACK) that the node's conntrackd sent, in their order.
 *
 * What a gap or a full window causes is wanted at once. What the one-second timer caused depends on the daemon's clock, so
 * the recording says when: at that moment the replica's timer is made to fire, and must give the same range. Copies that the
 * daemon sent again, because the message itself was lost, are counted and left out: what they say was said before.
 */
import { expect, test } from "bun:test";
import { isBefore, next } from "../../src/sync/serial.ts";
import {
  CTL,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_NACK,
  headerFlags,
  headerSeq,
  headerType,
  rangeFrom,
  rangeTo,
} from "../../src/wire/header.ts";
import { type Node, readMeta } from "./recording.ts";
import { beginLife, type Happening, happenings, type Life, RECEIVERS } from "./replay.ts";

/** How long before the daemon reads it the tap may have seen a datagram. */
const UNREAD_MS = 5;
/** Over TCP an answer may wait this long for its connection, and so stand behind what it does not know of. */
const UNCONNECTED_MS = 2_000;
/** Makes a timer of one second fire. */
const TIMER_MS = 1_000;

/** How many of the node's ACKs and NACKs were sent at once, by the timer, and again. */
interface Counts {
  atOnce: number;
  byTimer: number;
  copies: number;
}

const EXPECTED: Readonly<Record<string, Counts>> = {
  "05-ftfw-udp-loss f2": { atOnce: 74, byTimer: 17, copies: 33 },
};

const reliable = RECEIVERS.filter(([name]) => readMeta(name).mode === "FTFW");

test.each(reliable)("%s: the replica acknowledges as %s did", (name: string, node: Node) => {
  const meta = readMeta(name);
  const all = asRead(happenings(name, node), meta.channel === "tcp" ? UNCONNECTED_MS : UNREAD_MS);
  const counts: Counts = { atOnce: 0, byTimer: 0, copies: 0 };
  let conversation: Conversation | undefined;
  for (const [i, happening] of all.entries()) {
    if (happening.kind === "message") conversation?.message(happening);
    else if (happening.event.what === "start") conversation = new Conversation(beginLife(meta, all, i), counts);
    else if (happening.event.what === "stop" || happening.event.what === "kill") {
      conversation?.end();
      conversation = undefined;
    }
  }
  conversation?.end();
  expect(counts.atOnce + counts.byTimer).toBeGreaterThan(0);
  const expected = EXPECTED[`${name} ${node}`];
  if (expected !== undefined) expect(counts).toEqual(expected);
});

/** One life of the node: what the replica wants to say, held against what the daemon said. */
class Conversation {
  readonly #life: Life;
  readonly #counts: Counts;
  readonly #wanted: string[] = [];
  readonly #wantedBefore = new Set<string>();
  readonly #sentBefore = new Set<string>();

  constructor(life: Life, counts: Counts) {
    this.#life = life;
    this.#counts = counts;
  }

  message({ sent, message: { view }, timeMs }: Happening & { kind: "message" }): void {
    if (!sent) {
      this.#life.receive(view, timeMs);
      this.#listen(timeMs);
      return;
    }
    if (isAlive(view)) this.#timer(timeMs); // It says that there was nothing to acknowledge.
    const said = acknowledgement(view);
    if (said === undefined) return;
    if (this.#sentBefore.has(said)) {
      this.#counts.copies++;
      return;
    }
    this.#sentBefore.add(said);
    if (this.#wanted.length > 0) this.#counts.atOnce++;
    else {
      this.#timer(timeMs);
      this.#counts.byTimer++;
    }
    expect(this.#wanted.shift()).toBe(said);
  }

  end(): void {
    expect(this.#wanted).toEqual([]);
  }

  #timer(nowMs: number): void {
    this.#life.replica.tick(nowMs + TIMER_MS);
    this.#listen(nowMs);
  }

  #listen(nowMs: number): void {
    for (const view of this.#life.transmit(nowMs)) {
      const said = acknowledgement(view);
      if (said === undefined || this.#wantedBefore.has(said)) continue;
      this.#wantedBefore.add(said);
      this.#wanted.push(said);
    }
  }
}

/** The message as text if it is an ACK or a NACK. */
function acknowledgement(view: DataView): string | undefined {
  const flags = headerFlags(view, 0);
  if (headerType(view, 0) !== CTL || (flags & (FLAG_ACK | FLAG_NACK)) === 0) return undefined;
  return `${(flags & FLAG_ACK) !== 0 ? "ACK" : "NACK"} ${rangeFrom(view, 0)}-${rangeTo(view, 0)}`;
}

const isAlive = (view: DataView): boolean => headerType(view, 0) === CTL && (headerFlags(view, 0) & FLAG_ALIVE) !== 0;

/**
 * The order in which the daemon must have read and sent. The tap sees a datagram a little before the daemon does: an ACK that
 * ends before a message which stands ahead of it in the recording was made before that message was read. So was a keep-alive
 * behind a message, since there was nothing to acknowledge.
 */
function asRead(all: readonly Happening[], withinMs: number): Happening[] {
  const ordered: Happening[] = [];
  const seen = new Set<string>();
  for (const [i, happening] of all.entries()) {
    if (happening.kind === "event" && happening.event.what === "start") seen.clear();
    let at = ordered.length;
    if (happening.kind === "message" && happening.sent) {
      const said = acknowledgement(happening.message.view);
      const first = said !== undefined && !seen.has(said) && !namesGap(happening, all[i + 1]);
      if (said !== undefined) seen.add(said);
      if (first || isAlive(happening.message.view)) while (unread(ordered[at - 1], happening, withinMs)) at--;
    }
    ordered.splice(at, 0, happening);
  }
  return ordered;
}

/** A NACK, or the ACK of what came before the gap that the NACK behind it names: the message behind the gap was read. */
function namesGap({ message: { view } }: Happening & { kind: "message" }, following: Happening | undefined): boolean {
  if ((headerFlags(view, 0) & FLAG_NACK) !== 0) return true;
  if (following?.kind !== "message" || !following.sent) return false;
  const nack = following.message.view;
  return (headerFlags(nack, 0) & FLAG_NACK) !== 0 && rangeFrom(nack, 0) === next(rangeTo(view, 0));
}

function unread(
  earlier: Happening | undefined,
  { message: { view }, timeMs }: Happening & { kind: "message" },
  withinMs: number,
): boolean {
  if (earlier?.kind !== "message" || earlier.sent || timeMs - earlier.timeMs > withinMs) return false;
  return isAlive(view) || isBefore(rangeTo(view, 0), headerSeq(earlier.message.view, 0));
}
