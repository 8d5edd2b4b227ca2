/** What the daemon reports of its role, and of two that were primary. */
import type { Refusal, Role } from "./report.ts";

/** How the role is known. */
export interface KeepalivedReport {
  /** The notify_fifo is open; null: none is configured. */
  readonly fifo: boolean | null;
  /** keepalived, or somebody else, has it open for writing. */
  readonly fifoHasWriter: boolean;
  readonly fifoWords: number;
  /** Lines of the fifo that were no words of keepalived's, and words about another instance. */
  readonly fifoSkipped: number;
  /** Words of the notify command that the fifo had said before. */
  readonly echoes: number;
  /** Virtual addresses that are held here, of how many known ones. */
  readonly addressesHeld: number;
  readonly addresses: number;
  /** What role and addresses do not agree in, as a sentence. */
  readonly doubt: string | null;
  /** What the peer says it is; "unknown" where it is not asked: no sealed link to a ctsync node. */
  readonly peerRole: Role;
}

export interface GateReport {
  readonly state: "off" | "open" | "shut";
  /** Why there is none, though one is wanted. */
  readonly obstacle: string | null;
  /** Why it does not see whose packets it holds, so that no flow is committed first. */
  readonly blind: string | null;
  /** Packets it has dropped while it was shut. */
  readonly held: number;
  /** TCP to a virtual address that is INVALID is left unanswered, open or shut: a peer is there that could take the addresses. */
  readonly mute: boolean;
  /** Packets that were. */
  readonly unanswered: number;
  /** When the last takeover opened it, on the daemon's monotonic clock. */
  readonly openedMs: number | null;
}

/** Flows that a peer had let in as a second primary, and that were put into this node's kernel. */
export interface TakenOn {
  readonly flows: number;
  /** Refused by the kernel, and why. */
  readonly failed: number;
  readonly failures: readonly Refusal[];
  readonly milliseconds: number;
}

export interface TakenOnReport extends TakenOn {
  readonly secondsAgo: number;
}
