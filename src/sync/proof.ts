/** How far it is known that the external cache of one node is what the internal cache of the other told it. */
export interface Proof {
  /** Digests are exchanged with this peer. */
  readonly supported: boolean;
  /** When the two were last found equal, on this node's clock of `tick`; -Infinity: never. */
  readonly equalMs: number;
  /** Over how many flows. */
  readonly flows: number;
  /** Parts of the table, of 64, that differed in the last comparison. */
  readonly differing: number;
}
