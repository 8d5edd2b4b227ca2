/** What a replica is made of and with. */
import type { AddressFilter } from "./filter/address-filter.ts";
import type { Session, SlotOwner } from "./sync/session.ts";

export interface ReplicaOptions {
  /** Flows that each cache holds. */
  readonly flowsMax: number;
  /** Expectations that each cache holds; none where it is left out. */
  readonly expectationsMax?: number;
  readonly filter: AddressFilter;
  /** How long flows are kept of which a peer that was asked for all it has did not tell. */
  readonly staleMs: number;
  /** Key of the hash tables: two random 32-bit numbers. */
  readonly hashKey: readonly [number, number];
  /** The kernel follows the external cache while this node is not primary (sync.apply = "live"). */
  readonly live?: boolean;
  /** Makes the state towards each peer, by peer number; 8 peers at most. */
  readonly sessions: readonly ((owner: SlotOwner) => Session)[];
}
