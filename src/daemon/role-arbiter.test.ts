import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { NotifyRole } from "../report.ts";
import { DOUBT_MS, RoleArbiter, SETTLE_MS, type Source } from "./role-arbiter.ts";

const arbiter = (takeByAddress = true): RoleArbiter => new RoleArbiter({ takeByAddress });
const LONG_MS = 1_000_000;

test("master is worked on at once and once, a step-down when it has settled", () => {
  const roles = arbiter();
  expect(roles.word("fifo", "master", 0)).toBe("taken");
  expect(roles.word("fifo", "master", 1)).toBe("same");
  expect([roles.next(1), roles.next(2)]).toEqual(["master", undefined]);
  expect(roles.word("fifo", "backup", 10)).toBe("taken");
  expect(roles.role).toBe("backup");
  expect(roles.dueMs).toBe(10 + SETTLE_MS);
  expect([roles.next(9 + SETTLE_MS), roles.next(10 + SETTLE_MS)]).toEqual([undefined, "backup"]);
});

test("master, backup and master again within a second end in master, without a step-down between", () => {
  const roles = arbiter();
  roles.word("fifo", "master", 0);
  expect(roles.next(0)).toBe("master");
  roles.word("fifo", "backup", 100);
  roles.word("fifo", "master", 200);
  expect(roles.next(200)).toBe("master"); // The peer may have had the flows meanwhile.
  expect(roles.next(LONG_MS)).toBeUndefined();
});

test("a notify command that comes late says nothing new", () => {
  const roles = arbiter();
  roles.word("fifo", "master", 0);
  roles.word("fifo", "backup", 30);
  expect(roles.word("notify", "master", 60)).toBe("echo");
  expect(roles.word("notify", "backup", 70)).toBe("same");
  expect(roles.role).toBe("backup");
  expect(roles.word("notify", "master", 60_000)).toBe("taken"); // By hand, later.
});

test("work that failed is done again when its role is said again", () => {
  const roles = arbiter();
  roles.word("notify", "master", 0);
  expect(roles.next(0)).toBe("master");
  expect(roles.word("notify", "master", 5)).toBe("same");
  expect(roles.next(5)).toBeUndefined();
  roles.finished("master", false);
  expect(roles.word("notify", "master", 10)).toBe("same");
  expect(roles.next(10)).toBe("master");
});

test("a role that has work left is worked on again when it is said again", () => {
  const roles = arbiter();
  roles.word("notify", "master", 0);
  expect(roles.next(0)).toBe("master");
  roles.finished("master", true);
  expect(roles.word("notify", "master", 5, true)).toBe("same");
  expect([roles.next(5), roles.next(5)]).toEqual(["master", undefined]);
});

test("the addresses alone make a primary; the word that follows is the same transition", () => {
  const roles = arbiter();
  roles.addresses(0, 2, 0);
  roles.addresses(1, 2, 100);
  expect(roles.next(100)).toBeUndefined();
  roles.addresses(2, 2, 101);
  expect(roles.next(101)).toBe("master");
  expect(roles.doubt(101 + DOUBT_MS)).toBe("no-word");
  expect(roles.word("fifo", "master", 150)).toBe("same");
  expect(roles.next(LONG_MS)).toBeUndefined();
  expect(roles.doubt(LONG_MS)).toBeNull();
});

test("addresses that are here when the daemon starts make it primary, with nothing to do", () => {
  const roles = arbiter();
  roles.addresses(2, 2, 0);
  expect(roles.role).toBe("master");
  expect(roles.next(LONG_MS)).toBeUndefined();
});

test("addresses that go, and no word: a step-down; with a word, what it says", () => {
  const roles = arbiter();
  roles.addresses(0, 1, 0);
  roles.word("fifo", "master", 1);
  roles.addresses(1, 1, 2);
  expect(roles.next(2)).toBe("master");
  roles.addresses(0, 1, 10);
  expect(roles.role).toBe("master");
  expect(roles.next(10 + DOUBT_MS)).toBeUndefined();
  expect(roles.role).toBe("backup");
  expect(roles.next(10 + DOUBT_MS + SETTLE_MS)).toBe("backup");

  const told = arbiter();
  told.addresses(1, 1, 0);
  told.addresses(0, 1, 10);
  told.word("fifo", "fault", 20);
  expect(told.next(LONG_MS)).toBe("fault");
  expect(told.next(LONG_MS)).toBeUndefined();
});

test("what does not fit is said after a second, and no sooner", () => {
  const roles = arbiter(false);
  roles.addresses(0, 2, 0);
  roles.word("notify", "master", 10);
  expect(roles.doubt(10 + DOUBT_MS - 1)).toBeNull();
  expect(roles.doubt(10 + DOUBT_MS)).toBe("master-without-address");
  roles.addresses(2, 2, 5_000);
  expect(roles.doubt(LONG_MS)).toBeNull();
  roles.word("notify", "backup", 6_000);
  expect(roles.doubt(6_000 + DOUBT_MS)).toBe("address-without-master");
  expect(arbiter().doubt(LONG_MS)).toBeNull();
});

const step = fc.record({
  afterMs: fc.integer({ min: 0, max: 400 }),
  role: fc.constantFrom<NotifyRole>("master", "backup", "fault", "stop"),
  source: fc.constantFrom<Source>("fifo", "notify"),
  held: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom("word", "word", "addresses"),
});

test("whatever is said and seen: the last fifo word stands, and the last work begun is that of the role", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, takeByAddress) => {
      const roles = arbiter(takeByAddress);
      const begun: NotifyRole[] = [];
      let nowMs = 0;
      let words = 0;
      const run = (): void => {
        for (let role = roles.next(nowMs); role !== undefined; role = roles.next(nowMs)) begun.push(role);
      };
      for (const { afterMs, role, source, held, kind } of steps) {
        const untilMs = nowMs + afterMs;
        while (roles.dueMs <= untilMs) {
          nowMs = Math.max(nowMs, roles.dueMs);
          run();
        }
        nowMs = untilMs;
        if (kind === "addresses") roles.addresses(held, 2, nowMs);
        else if (roles.word(source, role, nowMs) === "taken") words++;
        if (kind === "word" && source === "fifo") expect(roles.role).toBe(role);
        run();
      }
      const assumed = begun.length === 0;
      while (roles.dueMs < Number.POSITIVE_INFINITY) {
        nowMs = Math.max(nowMs, roles.dueMs);
        run();
      }
      if (!assumed || words > 0) expect(begun.at(-1) ?? roles.role).toBe(roles.role as NotifyRole);
      for (let i = 1; i < begun.length; i++) if (begun[i] === begun[i - 1]) expect(begun[i]).toBe("master"); // Taken back: the peer may have had flows.
      expect(roles.dueMs).toBe(Number.POSITIVE_INFINITY);
    }),
    { numRuns: 2_000 },
  );
});

test("200 transitions in one burst: the work of the last one alone", () => {
  const roles = arbiter();
  for (let i = 0; i < 200; i++) roles.word("fifo", i % 2 === 0 ? "master" : "backup", 0);
  expect([roles.next(SETTLE_MS), roles.next(SETTLE_MS)]).toEqual(["backup", undefined]);
});

describe("a notify command that says master when the addresses are gone again", () => {
  const flapped = (): RoleArbiter => {
    const roles = arbiter();
    roles.addresses(0, 2, 0);
    roles.addresses(2, 2, 1_000);
    roles.addresses(0, 2, 1_300);
    roles.word("notify", "backup", 1_400);
    return roles;
  };

  test("came late: the node steps down once they do not come", () => {
    const roles = flapped();
    expect(roles.word("notify", "master", 5_000)).toBe("taken");
    expect(roles.next(5_000)).toBe("master");
    expect(roles.next(5_000 + DOUBT_MS)).toBeUndefined();
    expect([roles.role, roles.next(5_000 + DOUBT_MS + SETTLE_MS)]).toEqual(["backup", "backup"]);
  });

  test("is right if they come after all", () => {
    const roles = flapped();
    roles.word("notify", "master", 5_000);
    roles.addresses(2, 2, 5_500);
    expect([roles.next(5_500), roles.next(60_000), roles.role]).toEqual(["master", undefined, "master"]);
  });

  test("is believed where they never were here: they may be the wrong ones", () => {
    const roles = arbiter();
    roles.addresses(0, 2, 0);
    roles.word("notify", "master", 5_000);
    expect([roles.next(5_000), roles.next(60_000), roles.role]).toEqual(["master", undefined, "master"]);
  });
});
