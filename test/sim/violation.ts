/** What a run of the simulator can be found wanting in: docs/simulation.md says what each of them means. */
export type Invariant =
  | "converges"
  | "newer-stays"
  | "bounded"
  | "no-echo"
  | "window"
  | "answered"
  | "proven"
  | "healed"
  | "no-crash";

export class Violation extends Error {
  readonly invariant: Invariant;

  constructor(invariant: Invariant, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}
