/** A sender for tests, and what it sends. */
import { Sender, type SenderLimits } from "../src/sync/sender.ts";
import type { SlotOwner } from "../src/sync/session.ts";

const LIMITS: SenderLimits = { resendQueue: 16, inFlightMax: 1_000 };

export interface Sent {
  readonly seq: number;
  /** A flow's slot, or -1 for a control message. */
  readonly slot: number;
  readonly flags: number;
  readonly from: number;
  readonly to: number;
}

export class Owner implements SlotOwner {
  readonly slotsMax = 40;
  live: readonly number[] = [];
  readonly released: number[] = [];
  nextLive(from: number): number {
    return this.live.find((slot) => slot >= from) ?? -1;
  }
  release(slot: number): void {
    this.released.push(slot);
  }
}

export function senderOf(limits: Partial<SenderLimits> = {}, firstSeq = 1_000): { sender: Sender; owner: Owner } {
  const owner = new Owner();
  return { sender: new Sender({ ...LIMITS, ...limits }, firstSeq, owner), owner };
}

export const sentControl = (sender: Sender): Sent => {
  const flags = sender.nextControl();
  return { seq: sender.lastSeq, slot: -1, flags, from: sender.from, to: sender.to };
};

export const sentFlow = (sender: Sender): Sent | undefined => {
  const slot = sender.nextFlow();
  return slot < 0 ? undefined : { seq: sender.lastSeq, slot, flags: 0, from: 0, to: 0 };
};

/** Sends all that waits, control messages first. */
export function drain(sender: Sender): Sent[] {
  const sent: Sent[] = [];
  while (sender.hasControl) sent.push(sentControl(sender));
  for (let flow = sentFlow(sender); flow !== undefined; flow = sentFlow(sender)) sent.push(flow);
  return sent;
}
