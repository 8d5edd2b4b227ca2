/** Why a peer is dirty, in words: what of the two caches cannot be what it should be. */
import type { DirtyReason } from "../sync/dirt.ts";

export const DIRTY: Readonly<Record<DirtyReason, string>> = {
  "internal-full": "flows of the kernel found no room here (sync.flows_max), so the peer is not told of them",
  "external-full": "flows of the peer found no room here (sync.flows_max)",
  "peer-full": "the peer has no room for all flows of this node (its sync.flows_max)",
  "destroys-forgotten": "flows ended while the peer was away, and there was no room to remember which",
  "control-dropped":
    "control messages found no room (sync.resend_queue), and what they were about is being made up for",
};
