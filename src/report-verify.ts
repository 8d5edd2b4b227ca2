/** What `ctsync verify` answers: part of report.ts. */

/** A flow that kernel and internal cache do not agree on. */
export interface FlowDifference {
  /** missing: the cache lacks it. dead: the kernel has it no more. */
  readonly what: "missing" | "changed" | "dead" | "timer";
  /** As `ctsync dump` prints it. */
  readonly flow: string;
  /** What differs, by the names of `dump --format json`. */
  readonly fields: readonly { readonly field: string; readonly kernel: string; readonly cache: string }[];
}

/** The same of an expectation. How much time is left of it does not count: a helper may start its timer again in silence. */
export interface ExpectationDifference {
  readonly what: "missing" | "changed" | "dead";
  /** As `ctsync dump --expect` prints it. */
  readonly expectation: string;
  readonly fields: FlowDifference["fields"];
}

/** What verify found of expectations. */
export interface ExpectationsVerdict {
  /** In the internal cache. */
  readonly count: number;
  readonly missing: number;
  readonly changed: number;
  readonly dead: number;
  /** The first of them. */
  readonly differences: readonly ExpectationDifference[];
}

/** Whether a peer's external cache is our internal one. */
export interface PeerVerdict {
  readonly address: string;
  /**
   * unprovable: it exchanges no digests, as a conntrackd or a ctsync without a key. leftovers: it holds what this node told, and
   * beside it flows that this node told in a former life alone, until their time is over.
   */
  readonly state: "equal" | "leftovers" | "differs" | "unprovable" | "silent";
  /** What the comparison was over, and how many parts of the table differed in the last one. */
  readonly flows: number;
  readonly expectations: number;
  readonly differing: number;
  /** Expectations among them. */
  readonly leftovers: number;
  /** Why it cannot hold what it should; null: nothing is known against it. */
  readonly dirty: string | null;
}

export interface VerifyReport {
  readonly inSync: boolean;
  /** Flows of the internal cache. */
  readonly flows: number;
  readonly missing: number;
  readonly changed: number;
  readonly dead: number;
  readonly timers: number;
  /** The first of them. */
  readonly differences: readonly FlowDifference[];
  readonly expectations: ExpectationsVerdict;
  readonly peers: readonly PeerVerdict[];
}
