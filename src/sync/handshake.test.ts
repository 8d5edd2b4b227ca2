import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Hello } from "../wire/seal.ts";
import { GREET_MS, type Greeting, Handshake, SILENT_MS } from "./handshake.ts";

/** Numbers that never repeat, in the place of chance. */
let drawn = 0;
const draw = (words: number): Uint32Array => Uint32Array.from({ length: words }, () => ++drawn);

class Side {
  handshake = new Handshake(draw(2), draw(4));

  say(nowMs: number): Hello {
    const { session, peerSession, challenge, echo } = this.handshake;
    this.handshake.greeted(nowMs);
    return {
      session: session.slice(),
      knows: peerSession.slice(),
      challenge: challenge.slice(),
      echo: echo.slice(),
    };
  }

  hear(hello: Hello, nowMs = 0): Greeting {
    return this.handshake.receive(hello, draw(4), nowMs);
  }

  knows(other: Side): boolean {
    return this.handshake.established && Bun.deepEquals(this.handshake.peerSession, other.handshake.session);
  }

  restart(): void {
    this.handshake = new Handshake(draw(2), draw(4));
  }
}

/** Greetings go to and fro at once until none is due any more; how many there were. */
function talk(from: Side, to: Side, record: Hello[] = []): number {
  let said = 0;
  for (let [speaker, hearer] = [from, to]; ; [speaker, hearer] = [hearer, speaker]) {
    const hello = speaker.say(0);
    record.push(hello);
    said++;
    hearer.hear(hello);
    if (!hearer.handshake.answer) return said;
    if (said > 9) throw new Error("they never stop");
  }
}

describe("two nodes", () => {
  test("know each other after one greeting and its answers, and then say no more", () => {
    const [a, b] = [new Side(), new Side()];
    expect(talk(a, b)).toBe(4);
    for (const [side, other] of [
      [a, b],
      [b, a],
    ] as const) {
      expect(side.knows(other)).toBeTrue();
      expect(side.handshake.ready).toBeTrue();
      expect(side.handshake.tick(GREET_MS)).toBeFalse();
      expect(side.handshake.dueMs).toBe(SILENT_MS);
    }
  });

  test("nothing is said to a peer that does not know us yet", () => {
    const [a, b] = [new Side(), new Side()];
    b.hear(a.say(0));
    a.hear(b.say(0)); // It repeats our challenge, and does not know us.
    expect(a.knows(b)).toBeTrue();
    expect(a.handshake.ready).toBeFalse();
    expect(a.handshake.tick(GREET_MS)).toBeTrue();
    a.handshake.heard(GREET_MS); // What it sealed, it sealed for our session.
    expect(a.handshake.ready).toBeTrue();
  });

  test("a restarted one is established anew by the other, and the old session is not believed again", () => {
    const [a, b] = [new Side(), new Side()];
    const old: Hello[] = [];
    talk(b, a, old);
    b.restart();
    talk(b, a);
    expect(a.knows(b)).toBeTrue();
    for (const hello of old) expect(["stranger", "ours"]).toContain(a.hear(hello));
    expect(a.knows(b)).toBeTrue();
  });

  test("everything ever said, played again to a node that has just started, establishes nothing", () => {
    const [a, b] = [new Side(), new Side()];
    const record: Hello[] = [];
    for (let life = 0; life < 5; life++) {
      talk(b, a, record);
      (life % 2 === 0 ? b : a).restart();
    }
    a.restart();
    for (const hello of [...record, ...record.toReversed()]) expect(a.hear(hello)).toBe("stranger");
    expect(a.handshake.established).toBeFalse();
    talk(b, a);
    expect(a.knows(b)).toBeTrue();
  });

  test("a recording that repeats the present challenge is good once", () => {
    const [a, b] = [new Side(), new Side()];
    talk(a, b);
    b.restart();
    b.hear(a.say(0)); // b heard the present challenge,
    const captured = b.say(0); // but its answer is held back,
    b.restart(); // and b dies.
    talk(b, a);
    expect(a.knows(b)).toBeTrue();
    expect(a.hear(captured)).toBe("stranger");
    expect(a.knows(b)).toBeTrue();
  });

  test("its own greeting, reflected, means nothing to a node", () => {
    const a = new Side();
    expect(a.hear(a.say(0))).toBe("ours");
    expect(a.handshake.answer).toBeFalse();
    expect(a.handshake.established).toBeFalse();
  });

  test("one that believes to be known while it is not is told so", () => {
    const [a, b, liar] = [new Side(), new Side(), new Side()];
    talk(a, b);
    talk(liar, a); // Somebody with the key took b's place.
    expect(a.knows(b)).toBeFalse();
    a.handshake.astray(); // b goes on sending.
    expect(a.handshake.tick(GREET_MS)).toBeTrue();
    talk(a, b);
    expect(a.knows(b)).toBeTrue();
  });

  test("a silent peer is greeted again, four times a second, until something is heard", () => {
    const [a, b] = [new Side(), new Side()];
    talk(a, b);
    expect(a.handshake.tick(SILENT_MS - 1)).toBeFalse();
    expect(a.handshake.tick(SILENT_MS)).toBeTrue();
    expect(a.handshake.tick(SILENT_MS + GREET_MS - 1)).toBeFalse();
    expect(a.handshake.tick(SILENT_MS + GREET_MS)).toBeTrue();
    expect(a.handshake.ready).toBeTrue(); // What it has to say goes out all the same.
    a.handshake.heard(SILENT_MS + GREET_MS + 1);
    expect(a.handshake.tick(SILENT_MS + 2 * GREET_MS)).toBeFalse();
  });

  test("a flood of astray datagrams makes no flood of greetings", () => {
    const a = new Side();
    let greetings = 0;
    for (let nowMs = 0; nowMs < 10_000; nowMs++) {
      a.handshake.astray();
      if (a.handshake.tick(nowMs)) greetings++;
    }
    expect(greetings).toBe(10_000 / GREET_MS);
  });
});

test("with loss, delay, replays and restarts of either, they know each other soon after the faults end", () => {
  const step = fc.record({ kind: fc.nat(9), pick: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const sides = [new Side(), new Side()] as const;
      const record: [Hello[], Hello[]] = [[], []];
      const dead: [Set<number>, Set<number>] = [new Set(), new Set()];
      let nowMs = 0;
      const speak = (who: 0 | 1, arrives: boolean): void => {
        const hello = sides[who].say(nowMs);
        record[who].push(hello);
        const other = (1 - who) as 0 | 1;
        if (!arrives) return;
        sides[other].hear(hello, nowMs);
        if (sides[other].handshake.answer) speak(other, arrives);
      };
      for (const { kind, pick } of steps) {
        nowMs += GREET_MS;
        const who = (pick % 2) as 0 | 1;
        const other = (1 - who) as 0 | 1;
        if (kind === 0) {
          dead[who].add(sides[who].handshake.session[0]!);
          sides[who].restart();
        } else if (kind <= 4) {
          const old = record[other][pick % Math.max(1, record[other].length)];
          const before = sides[who].handshake.peerSession.slice();
          if (old === undefined) continue;
          const verdict = sides[who].hear(old, nowMs);
          // A dead life is believed at most once, if it answered the present challenge before it died; never instead of a living one.
          if (verdict === "news" && dead[other].has(old.session[0]!)) {
            expect(sides[other].handshake.session).not.toEqual(before);
          }
        } else speak(who, kind > 6);
      }
      for (let i = 0; i < 3; i++) {
        nowMs += SILENT_MS;
        for (const who of [0, 1] as const) {
          if (sides[who].handshake.tick(nowMs)) speak(who, true);
          // Whoever may send says at least that it lives, and is read by whoever knows it.
          const other = sides[1 - who]!;
          if (sides[who].handshake.ready && other.knows(sides[who])) other.handshake.heard(nowMs);
        }
      }
      expect(sides[0].knows(sides[1])).toBeTrue();
      expect(sides[1].knows(sides[0])).toBeTrue();
      expect(sides[0].handshake.ready && sides[1].handshake.ready).toBeTrue();
    }),
    { numRuns: 300 },
  );
});
