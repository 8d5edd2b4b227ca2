/** How far it is known that the external cache of one node is what the internal cache of the other told it. */
export interface Proof {
  /** Digests are exchanged with this peer. */
  readonly supported: boolean;
  /** When the two were last found equal, on this node's clock of `tick`; -Infinity: never. */
  readonly equalMs: number;
  /** Over how many flows and expectations. */
  readonly flows: number;
  readonly expectations: number;
  /** Parts of the table, of 64, that differed in the last comparison. */
  readonly differing: number;
  /** Flows and expectations beside those compared, told by a former life and not by this one: they stand there until their time is over. */
  readonly leftovers: number;
}

export const NO_PROOF: Proof = {
  supported: false,
  equalMs: Number.NEGATIVE_INFINITY,
  flows: 0,
  expectations: 0,
  differing: 0,
  leftovers: 0,
};
