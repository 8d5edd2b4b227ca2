/**
 * What a replica says to its peers, as datagrams: each session names the next message, which is encoded where it will be
 * sent from, the state of a flow as it is at that moment. Many messages share a datagram.
 */
import { DEAD, FRESH } from "./cache/internal.ts";
import { Flow } from "./flow/flow.ts";
import type { Replica } from "./replica.ts";
import type { Outbound } from "./replica-outbound.ts";
import type { PeerHost } from "./replica-peer.ts";
import type { Session } from "./sync/session.ts";
import { LONGEST_MESSAGE_BYTES, putClaim } from "./wire/claim.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "./wire/encode.ts";
import { encodeExtension } from "./wire/extension.ts";
import {
  CONTROL_BYTES,
  CT_DESTROY,
  CT_NEW,
  CT_UPDATE,
  CTL,
  EXP_DESTROY,
  FLAG_ALIVE,
  HEADER_BYTES,
  putHeader,
  putRange,
} from "./wire/header.ts";

export class Datagrams {
  readonly #replica: Replica;
  readonly #sent = new Flow();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Fills datagrams with what this peer must hear; true while more waits than `out` has room for. */
  fill(peer: number, out: Outbound, nowMs: number): boolean {
    while (this.#datagramFor(peer, out, nowMs)) if (out.room < 2) return true;
    return false;
  }

  /** Fills one datagram; false when there is nothing to say to this peer. */
  #datagramFor(peer: number, out: Outbound, nowMs: number): boolean {
    const session = this.#replica.sessions[peer];
    const { payloadMax } = out;
    const messageMax = session.extended ? LONGEST_MESSAGE_BYTES : MESSAGE_MAX_BYTES;
    let at = -1;
    let used = 0;
    // Whether a message fits is known once it is written. The last datagram takes only what fits whatever its length.
    while (out.room > 1 || (at >= 0 && used + messageMax <= payloadMax)) {
      const sending = session.transmit(nowMs);
      if (sending === "nothing") break;
      if (at < 0) at = out.open();
      const bytes =
        sending === "data"
          ? this.#putFlow(session, this.#replica.hosts[peer], out, at + used, nowMs)
          : sending === "control"
            ? this.#putControl(session, out, at + used)
            : this.#putExtension(session, out, at + used);
      if (used + bytes > payloadMax && used > 0) {
        out.close(used);
        const from = at + used;
        at = out.open();
        out.bytes.copyWithin(at, from, from + bytes);
        used = 0;
      }
      used += bytes;
    }
    if (at >= 0) out.close(used);
    return at >= 0;
  }

  #putFlow(session: Session, host: PeerHost | undefined, out: Outbound, at: number, nowMs: number): number {
    const { seq, flags, slot } = session.outgoing;
    const { expectations, internal, ownership, counters } = this.#replica;
    if (expectations.isOurs(slot)) {
      const bytes = expectations.put(slot, out.view, at, nowMs, session.extended);
      host?.sentExpectation(slot, expectations.type === EXP_DESTROY ? undefined : expectations.sent);
      putHeader(out.view, at, expectations.type, flags, bytes, seq);
      return bytes;
    }
    internal.read(slot, this.#sent, nowMs);
    const life = internal.lifeOf(slot);
    const type = life === DEAD ? CT_DESTROY : life === FRESH ? CT_NEW : CT_UPDATE;
    host?.sent(slot, life === DEAD ? undefined : this.#sent.words);
    let bytes = encodeFlow(this.#sent, out.view, at, false, session.extended);
    if (host !== undefined) bytes = putClaim(out.view, at + bytes, ownership.claimOn(slot)) - at;
    putHeader(out.view, at, type, flags, bytes, seq);
    counters.wire.flowsSent++;
    return bytes;
  }

  #putExtension({ outgoing, extension }: Session, out: Outbound, at: number): number {
    this.#replica.counters.wire.extensionsSent++;
    return extension === undefined
      ? 0
      : encodeExtension(extension.outgoing, out.view, at, outgoing.flags, outgoing.seq);
  }

  #putControl(session: Session, out: Outbound, at: number): number {
    const { seq, flags, from, to } = session.outgoing;
    const bytes = flags & FLAG_ALIVE ? HEADER_BYTES : CONTROL_BYTES;
    putHeader(out.view, at, CTL, flags, bytes, seq);
    if (bytes === CONTROL_BYTES) putRange(out.view, at, from, to);
    this.#replica.counters.wire.controlsSent++;
    return bytes;
  }
}
