import { describe, expect, test } from "bun:test";
import { ExtensionMessage } from "../wire/extension.ts";
import { isForPreparation, Preparation } from "./preparation.ts";
import type { ExtensionPort } from "./session.ts";

const node = (own: number, peer: number): Preparation =>
  new Preparation({ ownEpoch: { high: 0, low: own }, peerEpochLow: peer } as ExtensionPort);

/** Carries what one has to say to the other; false when it says nothing. */
function carry(from: Preparation, to: Preparation | undefined, nowMs: number): boolean {
  const message = new ExtensionMessage();
  if (!from.next(message, nowMs)) return false;
  expect(isForPreparation(message)).toBe(true);
  to?.hear(message);
  return true;
}

describe("a preparation", () => {
  test("is asked for once, answered once", () => {
    const [primary, backup] = [node(1, 2), node(2, 1)];
    expect(primary.dueMs).toBe(Number.POSITIVE_INFINITY);
    primary.ask();
    expect(carry(primary, backup, 0)).toBe(true);
    expect(carry(primary, backup, 499)).toBe(false);
    expect(backup.asked).toBe(1);
    expect(carry(backup, primary, 0)).toBe(false);
    backup.answer({ taken: 5, refused: 1 });
    expect(backup.asked).toBe(0);
    expect(carry(backup, primary, 0)).toBe(true);
    expect(carry(backup, primary, 0)).toBe(false);
    expect(primary.answered).toEqual({ taken: 5, refused: 1 });
    expect(primary.dueMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("survives the loss of the question and of the answer, and is done once", () => {
    const [primary, backup] = [node(1, 2), node(2, 1)];
    primary.ask();
    carry(primary, undefined, 0);
    expect(primary.dueMs).toBe(500);
    carry(primary, backup, 500);
    backup.answer({ taken: 5, refused: 0 });
    carry(backup, undefined, 500);
    carry(primary, backup, 1_000);
    expect(backup.asked).toBe(0);
    carry(backup, primary, 1_000);
    expect(primary.answered).toEqual({ taken: 5, refused: 0 });
  });

  test("of another life, or an older question, counts for nothing", () => {
    const [primary, backup] = [node(1, 2), node(2, 1)];
    primary.ask();
    carry(primary, node(3, 1), 0);
    const stranger = node(3, 1);
    carry(primary, stranger, 500);
    expect(stranger.asked).toBe(0);
    carry(primary, backup, 1_000);
    primary.giveUp();
    primary.ask();
    backup.answer({ taken: 5, refused: 0 });
    carry(backup, primary, 1_000);
    expect(primary.answered).toBeUndefined();
    carry(primary, backup, 1_500);
    expect(backup.asked).toBe(2);
  });
});
