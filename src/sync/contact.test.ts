import { describe, expect, test } from "bun:test";
import { acknowledgedTo, Contact } from "./contact.ts";
import type { Session } from "./session.ts";

const session = (owes: Partial<Session> = {}): Session =>
  ({ bulkDone: true, queued: 0, unacknowledged: 0, ...owes }) as Session;

/** In contact, and heard since. */
function met(): Contact {
  const contact = new Contact();
  contact.look(true, false, () => 0);
  contact.heard(10, 11);
  return contact;
}

describe("when contact is lost", () => {
  test("the peer knew what moved until its last word", () => {
    const contact = met();
    expect(contact.lost).toBe(0);
    contact.heard(20, 21);
    contact.look(false, true, () => 0);
    expect(contact.lost).toBe(20);
  });

  test("and what it had acknowledged, if that was all", () => {
    const owing: Partial<Session>[] = [{ bulkDone: false }, { queued: 1 }, { unacknowledged: 1 }];
    for (const owes of owing) {
      const contact = met();
      expect(contact.ask([session(), session(owes)], 30)).toBe(30);
      contact.look(false, true, () => 0);
      expect(contact.lost).toBe(10);
    }
    const contact = met();
    expect(contact.ask([session(), session()], 30)).toBe(31);
    expect([contact.isAcknowledged(30), contact.isAcknowledged(31)]).toEqual([true, false]);
    contact.turn(20);
    contact.turn(20);
    expect(contact.isAcknowledged(30)).toBe(true);
    contact.look(false, true, () => 0);
    expect(contact.ask([session()], 40)).toBe(40);
    expect(contact.lost).toBe(30);
  });

  test("and each claim that is lower than all that it had not acknowledged", () => {
    const contact = met();
    contact.look(false, true, () => 25);
    expect(contact.lost).toBe(25);
    const settled = (...open: number[]): Session =>
      session({ extension: { isSettled: (slot: number) => !open.includes(slot) } as Session["extension"] });
    const claims = Float64Array.of(12, 40, 30, 35, 5);
    expect(acknowledgedTo([settled()], claims, 4, 0, 41)).toBe(41);
    expect(acknowledgedTo([settled(1), settled(3, 4)], claims, 4, 0, 41)).toBe(34);
    expect(acknowledgedTo([settled(1, 2)], claims, 4, 30, 41)).toBe(39);
    expect(acknowledgedTo([settled(), session({ bulkDone: false })], claims, 4, 0, 41)).toBe(0);
  });

  test("a peer that is slow, or greets anew, does not make a later moment of it", () => {
    const contact = met();
    contact.look(false, true, () => 0);
    contact.heard(20, 21);
    contact.look(true, false, () => 0);
    contact.look(false, false, () => 0);
    contact.look(false, true, () => 0);
    expect(contact.lost).toBe(10);
  });
});

test("what is claimed after both have met again is above all that was claimed before, and told apart from it", () => {
  const contact = met();
  expect(contact.isLate(11)).toBe(false);
  contact.look(false, true, () => 0);
  contact.look(true, false, () => 0);
  expect(contact.isLate(2 ** 40)).toBe(false); // Its clock was not heard yet.
  const clock = contact.heard(20, 21);
  expect(clock).toBeGreaterThan(2 ** 20);
  expect([contact.isLate(clock), contact.isLate(clock + 1)]).toEqual([false, true]);
  expect([contact.isBefore(clock), contact.isBefore(clock + 1)]).toEqual([true, false]);
});

test("what moved before the last turn but one is known by the time that has passed", () => {
  const contact = met();
  contact.turn(15);
  expect(contact.isAcknowledged(15)).toBe(false);
  contact.turn(20);
  expect([contact.isAcknowledged(15), contact.isAcknowledged(16)]).toEqual([true, false]);
});
