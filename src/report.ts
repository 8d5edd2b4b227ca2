/**
 * What the daemon says about itself and about the work it did: the values that cross the control socket as JSON.
 * The daemon makes them, the command line shows them; both see these types and nothing else of each other.
 */
import type { ApplyReport } from "./report-apply.ts";
import type { GateReport, KeepalivedReport, TakenOnReport } from "./report-roles.ts";
import type { VerifyReport } from "./report-verify.ts";

/** What keepalived last said this node is; unknown until it said anything. */
export type Role = "unknown" | "master" | "backup" | "fault" | "stop";

/** Named counters by subject; the names are the ones the counting code uses. */
export type Counters = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface StatusReport {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly role: Role;
  /** This node holds all that its peer has; and why, or why not. */
  readonly ready: boolean;
  readonly readyReason: string;
  /** Flows in the internal and in the external cache. */
  readonly internal: number;
  readonly external: number;
  /** Flows each cache can hold. */
  readonly flowsMax: number;
  /** Expectations in the internal and in the external cache, and how many each can hold. */
  readonly expectations: { readonly internal: number; readonly external: number; readonly max: number };
  readonly peer: PeerReport;
  readonly link: LinkReport;
  readonly apply: ApplyReport;
  readonly kernel: KernelReport;
  /** null: none has come to its end yet. */
  readonly audit: AuditReport | null;
  readonly loop: LoopReport;
  readonly recorder: RecorderReport;
  readonly lastRoleChange: RoleChangeReport | null;
  /** The last commit that had flows to write: how many this kernel took, and why not the rest. */
  readonly lastCommit: LastCommitReport | null;
  readonly keepalived: KeepalivedReport;
  readonly gate: GateReport;
  /** Both nodes have been primary for so long; null: they are not, or the peer cannot say (`peerRole`). */
  readonly splitBrain: { readonly seconds: number } | null;
  /** What was taken on when the peer had been primary beside this node the last time; null: never since the start. */
  readonly takenOn: TakenOnReport | null;
  /** How often each command was asked for since the start, by its name. */
  readonly requests: Readonly<Record<string, number>>;
  readonly counters: Counters;
}

export interface PeerReport {
  readonly address: string;
  /** Silent: nothing was heard for longer than the peer's heartbeat allows. */
  readonly state: "connected" | "handshake" | "silent";
  /** What keepalived made of it, as it says; null: it does not say such things. */
  readonly role: Role | null;
  /** How far its newest bulk has come; null: none that it told of. */
  readonly bulk: BulkProgressReport | null;
  /** Milliseconds since the last datagram of the peer; null when none came yet. */
  readonly lastHeardMs: number | null;
  /** How long the oldest change has waited to be sent, or acknowledged, about; 0 when none waits. */
  readonly lagMs: number;
  /** Why the peer's external cache cannot be what it should be now; null: nothing is known against it. */
  readonly dirty: string | null;
  /** When that cache was last proven equal to our internal one; null: never, or the peer cannot prove it. */
  readonly proof: {
    readonly secondsAgo: number;
    readonly flows: number;
    readonly expectations: number;
    readonly leftovers: number;
  } | null;
  /** Flows sent and not yet acknowledged, and flows waiting to be sent. */
  readonly unacknowledged: number;
  readonly queued: number;
  /** Messages that were resent because the peer missed them, and messages of the peer that never came. */
  readonly resent: number;
  readonly lost: number;
}

export interface BulkProgressReport {
  readonly sent: number;
  /** Flows that the peer had when it began. */
  readonly total: number;
  readonly sending: boolean;
  /** All of it was acknowledged. */
  readonly arrived: boolean;
}

export interface LinkReport {
  readonly interface: string;
  readonly local: string;
  readonly peer: string;
  readonly port: number;
  readonly mtuBytes: number;
  readonly up: boolean;
  /** Null: the link has no key, so it is open to whoever can send on it. */
  readonly seal: SealReport | null;
}

/** Keys by their ids, sessions by theirs. */
export interface SealReport {
  /** What we send with, and what we accept. */
  readonly key: string;
  readonly accepted: readonly string[];
  /** What the peer sends with; null when nothing authentic came yet. */
  readonly peerKey: string | null;
  readonly session: string;
  /** The life of the peer that is established. */
  readonly peerSession: string | null;
  /** Both know each other's session. */
  readonly ready: boolean;
}

export interface KernelReport {
  /** Events read from ctnetlink, and times its socket overran (ENOBUFS). */
  readonly events: number;
  readonly overruns: number;
  readonly bufferBytes: number;
  /** Events were lost and the resync that repairs the internal cache is not finished yet. */
  readonly suspect: boolean;
}

/** The last comparison of the kernel's table with the internal cache, and what it mended. */
export interface AuditReport {
  readonly secondsAgo: number;
  readonly milliseconds: number;
  /** Flows that both had in the end. */
  readonly flows: number;
  readonly missing: number;
  readonly changed: number;
  readonly dead: number;
  /** Flows whose timer had gone astray. */
  readonly timers: number;
  /** Expectations that both had in the end, and those that were missing, had changed or had ended. */
  readonly expectations: number;
  readonly expectationsMended: number;
}

/** How long replication had to wait for the daemon itself. */
export interface LoopReport {
  readonly turns: number;
  /** The longest turn since the kernel's table was first read, and of the last one to two minutes. */
  readonly longestPauseMs: number;
  readonly recentPauseMs: number;
  /** What the longest one did: null while none took 2 ms. */
  readonly longest: LongestPauseReport | null;
}

export interface LongestPauseReport {
  readonly secondsAgo: number;
  /** What took most of it, and how long. */
  readonly part: string;
  readonly partMs: number;
  /** How long it had a processor; how often it waited for something, and how often the processor was taken away. */
  readonly cpuMs: number;
  readonly waits: number;
  readonly preemptions: number;
  readonly diskFaults: number;
}

/** The flight recorder. An empty path: it is switched off. */
export interface RecorderReport {
  readonly path: string;
  /** Records written since the start; records that found no room while the disk took none. */
  readonly written: number;
  readonly lost: number;
  /** Why the disk takes none; null while it does. */
  readonly error: string | null;
}

export interface RoleChangeReport {
  readonly role: Role;
  readonly ok: boolean;
  readonly secondsAgo: number;
  readonly milliseconds: number;
}

/** Flows the kernel refused for one and the same reason; `errno` by its name, such as ENOENT. */
export interface Refusal {
  readonly errno: string;
  readonly reason: string;
  readonly count: number;
}

export interface CommitReport {
  /** Flows among all these that went before their turn, since packets of theirs waited at the gate. */
  readonly first: number;
  /** Flows created. */
  readonly committed: number;
  /** Flows that stood in the kernel already and were updated in place. */
  readonly updated: number;
  readonly failed: number;
  readonly failures: readonly Refusal[];
  /** Flows committed, or updated, without something this kernel could not take. */
  readonly lessened: readonly { readonly without: string; readonly count: number }[];
  readonly expectations: ExpectationsCommitReport;
  readonly milliseconds: number;
}

export interface ExpectationsCommitReport {
  readonly committed: number;
  readonly failed: number;
  readonly failures: readonly Refusal[];
  /** Expectations whose master is not in the kernel: nobody will open the connection that they wait for. */
  readonly orphaned: number;
}

export interface LastCommitReport extends CommitReport {
  readonly secondsAgo: number;
}

export interface HandoverStep {
  readonly text: string;
  /** Since the beginning. */
  readonly milliseconds: number;
}

export interface HandoverReport {
  readonly steps: readonly HandoverStep[];
}

/** What a rehearsed takeover came to. */
export interface DrillReport {
  readonly flows: number;
  readonly survive: number;
  /** Entries in the scratch namespace's table afterwards. */
  readonly stands: number;
  readonly refused: number;
  readonly refusals: readonly Refusal[];
  readonly lessened: CommitReport["lessened"];
  readonly milliseconds: number;
  /** The machine's own table. */
  readonly table: { readonly count: number; readonly max: number };
  readonly notRehearsed: readonly string[];
}

export type FlushTarget = "internal" | "external" | "kernel" | "caches";

export interface FlushReport {
  readonly removed: number;
}

export interface ResyncReport {
  readonly read: number;
  readonly created: number;
  readonly updated: number;
  readonly removed: number;
}

export interface BulkReport {
  readonly sent: number;
  /** Addresses of peers that did not acknowledge. */
  readonly unreachable: readonly string[];
}

export interface RequestReport {
  /** Flows the peer sent in answer. */
  readonly received: number;
}

export interface ResetTimersReport {
  readonly shortened: number;
  readonly failed: number;
  /** What the timers were shortened to. */
  readonly seconds: number;
}

export interface RestoreTimersReport {
  readonly restored: number;
  readonly failed: number;
}

/** The answer of `GET /v1/ready`. */
export interface ReadyReport {
  readonly ready: boolean;
  /** Why, or why not: a sentence. */
  readonly reason: string;
  /** It hands over, or has just done so. */
  readonly aside: boolean;
}

export type NotifyRole = Exclude<Role, "unknown">;

export interface NotifyStep {
  readonly step:
    | "apply"
    | "adopt"
    | "commit"
    | "flush"
    | "resync"
    | "bulk"
    | "relax-windows"
    | "reset-timers"
    | "restore-timers"
    | "request";
  readonly ok: boolean;
  readonly text: string;
  readonly milliseconds: number;
}

export interface NotifyReport {
  readonly role: NotifyRole;
  readonly steps: readonly NotifyStep[];
}

export interface RekeyReport {
  readonly key: string;
  readonly accepted: readonly string[];
}

/** The daemon answers before it ends; `pid` says which daemon is about to. */
export interface StopReport {
  readonly pid: number;
}

/** What each command answers with. */
export interface Replies {
  readonly commit: CommitReport;
  readonly flush: FlushReport;
  readonly resync: ResyncReport;
  readonly bulk: BulkReport;
  readonly request: RequestReport;
  readonly "reset-timers": ResetTimersReport;
  readonly notify: NotifyReport;
  readonly rekey: RekeyReport;
  readonly verify: VerifyReport;
  readonly handover: HandoverReport;
  readonly stop: StopReport;
}

/** What each command is told; the JSON body of `POST /v1/<command>`. */
export interface Orders {
  readonly commit: NoOrder;
  readonly flush: { readonly what: FlushTarget };
  readonly resync: NoOrder;
  readonly bulk: NoOrder;
  readonly request: NoOrder;
  readonly "reset-timers": NoOrder;
  readonly notify: { readonly role: NotifyRole; readonly instance?: string; readonly priority?: number };
  /** The key file's text; `force`: even if the peer still sends with a key that is not in it. */
  readonly rekey: { readonly keys: string; readonly force: boolean };
  readonly verify: NoOrder;
  readonly handover: { readonly timeoutSeconds: number; readonly holdSeconds: number };
  readonly stop: NoOrder;
}
type NoOrder = Readonly<Record<string, never>>;
export type CommandName = keyof Orders;

/**
 * The answer to a command is NDJSON: progress lines while it works, then one final line.
 * `value` beside an error says how far the work went.
 */
export interface ProgressLine {
  readonly progress: string;
  readonly done: number;
  readonly total?: number;
}
export type FinalLine<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string; readonly value?: T };
