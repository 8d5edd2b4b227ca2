import { expect, test } from "bun:test";
import { type RehearsedCommit, rehearse } from "./rehearsal.ts";

/** Takes flows as the kernel's commit would, and sends none. */
class CountingCommit implements RehearsedCommit {
  added = 0;
  waiting = 0;
  hasRoom = (): boolean => this.waiting < 100;
  add(): void {
    expect(this.hasRoom()).toBeTrue();
    this.added++;
    this.waiting++;
  }
  discard(): void {
    this.waiting = 0;
  }
}

test.each([
  ["an open", false],
  ["a sealed", true],
])(
  "of %s channel comes to its end in many slices, and leaves nothing of its commits behind any of them",
  (_, isSealed) => {
    const commit = new CountingCommit();
    const rehearsal = rehearse(commit, isSealed);
    let slices = 0;
    let step = rehearsal.next();
    for (; !step.done; step = rehearsal.next()) {
      slices++;
      expect(commit.waiting).toBe(0);
    }
    expect(slices).toBeGreaterThan(10);
    expect(step.value.ok && step.value.value).toBeGreaterThan(10_000);
    expect(commit.waiting).toBe(0);
    expect(commit.added).toBeGreaterThan(10_000);
  },
);
