/** What the daemon is made of, as the loop, the jobs and the control socket see it. */
import type { Config } from "../config/load.ts";
import type { AddressFilter } from "../filter/address-filter.ts";
import type { KernelCommit } from "../kernel/commit.ts";
import type { KernelDelete } from "../kernel/delete.ts";
import type { KernelEvents } from "../kernel/events.ts";
import type { ExpectationCommit } from "../kernel/expectation-commit.ts";
import type { ExpectationEvents } from "../kernel/expectation-events.ts";
import type { KernelLookup } from "../kernel/lookup.ts";
import type { KernelTimers } from "../kernel/timers.ts";
import type { Replica } from "../replica.ts";
import type { AuditReport, CommitReport, Role, RoleChangeReport } from "../report.ts";
import type { TakenOn } from "../report-roles.ts";
import type { Apply } from "./apply.ts";
import type { FlightRecorder } from "./flight-recorder.ts";
import type { FlightWatch } from "./flight-watch.ts";
import type { Gate } from "./gate.ts";
import type { Jobs } from "./jobs.ts";
import type { Link } from "./link.ts";
import type { Log } from "./log.ts";
import type { NewWindows } from "./new-windows.ts";
import type { Pauses } from "./pauses.ts";
import type { RealtimePriority } from "./realtime-priority.ts";
import type { VirtualAddress } from "./virtual-addresses.ts";

export interface Node {
  readonly config: Config;
  readonly log: Log;
  readonly replica: Replica;
  readonly filter: AddressFilter;
  readonly events: KernelEvents;
  /** Undefined where the kernel's expectations are not replicated. */
  readonly expectationEvents: ExpectationEvents | undefined;
  /** For masters of expectations alone. */
  readonly masters: KernelLookup;
  readonly commit: KernelCommit;
  readonly expectationCommit: ExpectationCommit;
  readonly deletes: KernelDelete;
  readonly timers: KernelTimers;
  readonly newWindows: NewWindows;
  readonly lookup: KernelLookup;
  /** Undefined where flows of the peer wait for a commit (`sync.apply = "commit"`). */
  readonly apply: Apply | undefined;
  readonly links: readonly Link[];
  readonly gate: Gate;
  /** The addresses that keepalived moves, as far as the configuration knows them. */
  readonly virtual: readonly VirtualAddress[];
  readonly jobs: Jobs;
  readonly pauses: Pauses;
  readonly priority: RealtimePriority;
  readonly audit: Audit;
  readonly flight: FlightRecorder;
  /** What the flight recorder sees by itself. */
  readonly watch: FlightWatch;
  readonly startedMs: number;
  readonly state: NodeState;
}

export interface NodeState {
  role: Role;
  /** How often the role has changed. */
  turns: number;
  /** How often keepalived spoke. Its newer word may pass an older one that waits for the peer. */
  words: number;
  /** The kernel's table has been read. */
  started: boolean;
  /** The rehearsal after the start is over: what a takeover does is compiled. */
  rehearsed: boolean;
  /** Events were lost: the internal cache may lack flows, or hold dead ones, until the reread is through. */
  suspect: boolean;
  /** More events were lost while the table was reread. */
  lostAgain: boolean;
  /** Rereads of the kernel's table that are under way. */
  rereading: number;
  /** A reading that the replica wants is queued, or under way. */
  readingWanted: boolean;
  /** All events have been worked off that the kernel raised before. */
  eventsReadMs: number;
  /** The same of events about expectations. */
  expectationsReadMs: number;
  /** The kernel's timers were shortened, and no peer has told since then what is still alive. */
  timersShortened: boolean;
  /** This node has been no primary since its kernel ceased to check windows: packets may have gone another way. */
  windowsDue: boolean;
  /** Flows that peers had taken when this node became primary, or when what they had taken was relaxed (the counter `yielded`). */
  yieldedBefore: number;
  stopping: boolean;
  /** Until then this node stands aside, so that keepalived makes the peer primary. */
  asideUntilMs: number;
  /** It commits ahead because the peer hands over. */
  preparing: boolean;
  /** When it last began to commit all flows ahead, and has not been primary since; -Infinity: it has. */
  committedAheadMs: number;
  lastRoleChange: (Omit<RoleChangeReport, "secondsAgo"> & { readonly atMs: number }) | null;
  /** The last commit that had flows. */
  lastCommit: { readonly report: CommitReport; readonly atMs: number } | null;
  /** What was taken on when two had been primary. */
  takenOn: (TakenOn & { readonly atMs: number }) | null;
  readonly requests: Record<string, number>;
}

/** What the audit has found so far (work/audit.ts). */
export interface Audit {
  readonly counters: {
    passes: number;
    abandoned: number;
    missing: number;
    changed: number;
    dead: number;
    timers: number;
    expectationsMissing: number;
    expectationsChanged: number;
    expectationsDead: number;
    expectationTimers: number;
  };
  last: (Omit<AuditReport, "secondsAgo"> & { readonly atMs: number }) | null;
}
