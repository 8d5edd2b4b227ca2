/** What a replica counts, by subject. Each received message that is refused raises exactly one of `wire`'s. */
export class ReplicaCounters {
  readonly wire = {
    datagrams: 0,
    messages: 0,
    /** Refused: shorter than a header, or a length that cannot be; the rest of its datagram is lost with it. */
    truncated: 0,
    badSize: 0,
    badVersion: 0,
    /** Refused: type or flags that the mode does not know. */
    badHeader: 0,
    /** Refused: attributes that lie about their length or that nobody knows. */
    badPayload: 0,
    /** Refused: no address, protocol or ports, so no flow can be named by it. */
    incomplete: 0,
    /** Dropped: a duplicate, or an original whose newer state has arrived. */
    late: 0,
    expectationsReceived: 0,
    expectationsSent: 0,
    flowsReceived: 0,
    flowsSent: 0,
    controlsSent: 0,
    /** Extension messages: used, of a subtype that only a later version knows, sent. */
    extensionsReceived: 0,
    extensionsUnknown: 0,
    extensionsSent: 0,
  };
  readonly cache = {
    /** Flows of this machine's own, or ignored by the configuration. */
    ignored: 0,
    internalFull: 0,
    externalFull: 0,
    /** A destroy message for a flow that the external cache does not have. */
    externalUnknown: 0,
    /** Flows that we announced, until a ctsync peer did: its kernel saw them move after ours. */
    yielded: 0,
    /** Flows first heard of in an update, which says only what changed: the rest is learnt when the kernel's table is read. */
    halfKnown: 0,
    /** Flows of the external cache that ended while the peer's daemon was down (stale-entries.ts). */
    externalStale: 0,
    /** Ended flows and expectations that an absent peer was not told of, to make room. */
    destroysForgotten: 0,
    /** Expectations whose master the filter leaves out. */
    expectationsIgnored: 0,
    /** Expectations, of the kernel or of the peer, that found no room in their cache. */
    expectationsFull: 0,
    /** Ends of expectations that the external cache does not have. */
    expectationsUnknown: 0,
    /** Expectations of the external cache that ended while the peer's daemon was down. */
    expectationsStale: 0,
  };
  /** Anti-entropy with extended peers (sync/prover.ts, sync/checker.ts). */
  readonly proof = {
    /** Comparisons of the peer's digest with ours, and those that found a difference. */
    compared: 0,
    differed: 0,
    /** Flows asked for because they were missing or differed, and flows withdrawn because the peer has them no more. */
    wanted: 0,
    withdrawn: 0,
    /** Flows sent again because the peer asked for them so. */
    repaired: 0,
    /** Flows sent again because their timer was renewed (replica-walk.ts). */
    refreshed: 0,
    /** Flows that were not what a peer was last told, and not what it told: by no fault that is known of. */
    untold: 0,
    damaged: 0,
  };
}
