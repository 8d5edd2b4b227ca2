/** What the kernel of a node that is not primary was told of its peer, since the start. */

interface ApplyCounters {
  applied: number;
  withdrawn: number;
  renewed: number;
  /** Entries that had ended too early, and were made again. */
  lost: number;
  refused: number;
  /** Flows that went without their master, which is not there. */
  masterless: number;
}

export const noneApplied = (): ApplyCounters => ({
  applied: 0,
  withdrawn: 0,
  renewed: 0,
  lost: 0,
  refused: 0,
  masterless: 0,
});

/** Of expectations the same. */
interface ExpectationCounters {
  expectationsApplied: number;
  expectationsWithdrawn: number;
  expectationsLost: number;
  expectationsRefused: number;
}

export const noExpectations = (): ExpectationCounters => ({
  expectationsApplied: 0,
  expectationsWithdrawn: 0,
  expectationsLost: 0,
  expectationsRefused: 0,
});
