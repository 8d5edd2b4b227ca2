/** Two seals joined by nothing but the test: what one sends, and what the other makes of it. */
import { beforeEach, describe, expect, test } from "bun:test";
import { createDecipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { type LinkKey, type LinkKeys, linkKey, randomKey } from "../config/link-key.ts";
import { WINDOW } from "../sync/replay-window.ts";
import { HELLO_BYTES, SEAL_HEADER_BYTES, SEAL_OVERHEAD_BYTES, SEAL_TAG_BYTES } from "../wire/seal.ts";
import { ChannelCounters } from "./counters.ts";
import { REFUSED, Seal } from "./seal.ts";

const REASONS = ["clear", "malformed", "wrongKey", "oldSession", "replayed", "tooOld", "forged"] as const;
type Reason = (typeof REASONS)[number];

const one = randomKey();
const two = randomKey();

class End {
  readonly counters = new ChannelCounters();
  seal: Seal;

  constructor(keys: LinkKeys, counterMax?: number) {
    this.seal = new Seal(keys, this.counters, counterMax);
  }

  send(text: string): Uint8Array {
    const bytes = new Uint8Array(SEAL_OVERHEAD_BYTES + text.length * 3);
    const { written } = new TextEncoder().encodeInto(text, bytes.subarray(SEAL_HEADER_BYTES));
    return bytes.slice(0, this.seal.seal(bytes, new DataView(bytes.buffer), 0, written));
  }

  greet = (): Uint8Array => this.seal.greeting(0).slice();

  /** The clear text, or undefined when it was refused or a greeting. The datagram is read in the midst of other bytes. */
  hear(datagram: Uint8Array): string | undefined {
    const bytes = new Uint8Array(datagram.length + 20).fill(0x55);
    bytes.set(datagram, 7);
    const length = this.seal.open(bytes, new DataView(bytes.buffer), 7, datagram.length, 0);
    expect(bytes.subarray(0, 7)).toEqual(new Uint8Array(7).fill(0x55));
    expect(bytes.subarray(7 + datagram.length)).toEqual(new Uint8Array(13).fill(0x55));
    if (length === REFUSED) return undefined;
    return new TextDecoder().decode(bytes.subarray(7 + SEAL_HEADER_BYTES, 7 + SEAL_HEADER_BYTES + length));
  }

  refused(): Partial<Record<Reason, number>> {
    const counted = REASONS.map((reason) => [reason, this.counters[reason]] as const);
    return Object.fromEntries(counted.filter(([, count]) => count > 0));
  }
}

function shakeHands(a: End, b: End): void {
  for (let i = 0; i < 2; i++) {
    b.hear(a.greet());
    a.hear(b.greet());
  }
  expect([a.seal.ready, b.seal.ready]).toEqual([true, true]);
}

let a: End;
let b: End;

beforeEach(() => {
  [a, b] = [new End([one]), new End([one])];
  shakeHands(a, b);
});

describe("what the peer sealed", () => {
  test("is opened as it was, in both directions, whatever its length", () => {
    for (const text of ["x", "ctsync".repeat(300), ""]) {
      expect(b.hear(a.send(text))).toBe(text);
      expect(a.hear(b.send(text))).toBe(text);
    }
    expect([a.refused(), b.refused()]).toEqual([{}, {}]);
  });

  test("is not to be read in it, and the same text never looks the same", () => {
    const [first, second] = [a.send("the same text"), a.send("the same text")];
    expect(Buffer.from(first).includes("same")).toBeFalse();
    expect(first.subarray(SEAL_HEADER_BYTES)).not.toEqual(second.subarray(SEAL_HEADER_BYTES));
  });

  test("is taken once, in any order within the window, and not beyond it", () => {
    const sent = Array.from({ length: 2_000 }, (_, i) => a.send(String(i)));
    for (const [i, datagram] of [...sent.entries()].toReversed()) expect(b.hear(datagram)).toBe(String(i));
    for (const datagram of sent) expect(b.hear(datagram)).toBeUndefined();
    expect(b.refused()).toEqual({ replayed: 2_000 });
    const late = a.send("late");
    let newest = late;
    for (let i = 0; i < WINDOW; i++) newest = a.send("");
    expect(b.hear(newest)).toBe("");
    expect(b.hear(late)).toBeUndefined();
    expect(b.refused()).toEqual({ replayed: 2_000, tooOld: 1 });
  });
});

describe("what is refused changes nothing", () => {
  const after = (reason: Reason, times = 1): void => {
    expect(b.refused()).toEqual({ [reason]: times });
    expect(b.hear(a.send("next"))).toBe("next");
    expect(a.hear(b.send("next"))).toBe("next");
    expect(b.refused()).toEqual({ [reason]: times });
    expect(a.refused()).toEqual({});
  };

  test("every byte that was flipped, of data and of a greeting, in any bit", () => {
    const reasons = new Set<string>();
    for (const make of [() => a.send("a flow or two"), a.greet]) {
      for (let i = 0; i < make().length; i++) {
        for (let bit = 0; bit < 8; bit++) {
          const before = b.refused();
          const datagram = make();
          datagram[i] = datagram[i]! ^ (1 << bit);
          expect(b.hear(datagram), `byte ${i}, bit ${bit}`).toBeUndefined();
          const changed = REASONS.filter((reason) => b.refused()[reason] !== before[reason]);
          expect(changed, `byte ${i}, bit ${bit}`).toHaveLength(1);
          reasons.add(changed[0]!);
        }
      }
    }
    expect([...reasons].sort()).toEqual(["forged", "malformed", "oldSession", "wrongKey"]);
    expect(b.hear(a.send("next"))).toBe("next");
  });

  test("whatever was cut off or put behind it", () => {
    const datagram = a.send("a flow or two");
    for (let length = 0; length < datagram.length; length++) b.hear(datagram.slice(0, length));
    b.hear(Uint8Array.of(...datagram, 0));
    after("malformed", datagram.length + 1);
  });

  test("any bytes at all: no crash, no opening, one counter each", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, sealed) => {
        const total = (): number => REASONS.reduce((sum, reason) => sum + b.counters[reason], 0);
        const before = total();
        const whole = a.send("x".repeat(40));
        const datagram = sealed ? whole.slice() : bytes;
        if (sealed) datagram.set(bytes.subarray(0, 60), Math.min(bytes.length, 24));
        const isSame = sealed && Bun.deepEquals(datagram, whole);
        expect(b.hear(datagram) === undefined).toBe(!isSame);
        expect(total() - before).toBe(isSame ? 0 : 1);
      }),
      { numRuns: 2_000 },
    );
    expect(b.hear(a.send("next"))).toBe("next");
  });

  test("clear datagrams", () => {
    b.hear(Uint8Array.of(0x1a, 0x10, 0, 8, 0, 0, 0, 1));
    after("clear");
  });

  test("its own datagrams, sent back", () => {
    expect(b.hear(b.send("mirror"))).toBeUndefined();
    expect(b.hear(b.greet())).toBeUndefined();
    after("oldSession", 2);
  });

  test("a forgery does not use up the number of the true one", () => {
    const datagram = a.send("true");
    const forged = datagram.slice();
    forged[forged.length - SEAL_TAG_BYTES]! ^= 1;
    expect(b.hear(forged)).toBeUndefined();
    expect(b.hear(datagram)).toBe("true");
    after("forged");
  });

  test("what somebody with another key sealed, even under our key's id", () => {
    const stranger = new End([two]);
    b.hear(stranger.greet());
    after("wrongKey");
    const liar = new End([{ id: one.id, secret: two.secret }]);
    b.hear(liar.greet());
    expect(b.refused()).toEqual({ wrongKey: 1, forged: 1 });
    expect(b.hear(a.send("next"))).toBe("next");
  });
});

describe("a life that ended", () => {
  test("is refused once the peer's next one is established", () => {
    const [kept, late] = [a.send("kept"), a.send("late")];
    expect(b.hear(kept)).toBe("kept");
    const again = new End([one]);
    shakeHands(again, b);
    expect(b.hear(late)).toBeUndefined();
    expect(b.hear(again.send("now"))).toBe("now");
    expect(b.refused()).toEqual({ oldSession: 1 });
  });

  test("is not accepted by a daemon that has just started, though every datagram of it was recorded", () => {
    const record: Uint8Array[] = [];
    [a, b] = [new End([one]), new End([one])];
    const tell = (from: End, to: End, datagram: Uint8Array): void => {
      if (from === a) record.push(datagram);
      to.hear(datagram);
    };
    for (let i = 0; i < 3; i++) {
      tell(a, b, a.greet());
      tell(b, a, b.greet());
    }
    for (let i = 0; i < 50; i++) tell(a, b, a.send(`old ${i}`));
    const fresh = new End([one]);
    for (const datagram of [...record, ...record]) expect(fresh.hear(datagram)).toBeUndefined();
    expect(fresh.seal.handshake.established).toBeFalse();
    expect(fresh.refused()).toEqual({ oldSession: 100 });
    shakeHands(a, fresh);
    for (const datagram of record) expect(fresh.hear(datagram)).toBeUndefined();
    expect(fresh.hear(a.send("new"))).toBe("new");
  });

  test("ends by itself before its counter would come round, and the next one goes on", () => {
    [a, b] = [new End([one], 20), new End([one])];
    const sessions = new Set<string>();
    for (let i = 0; i < 100; i++) {
      if (!a.seal.ready) shakeHands(a, b);
      sessions.add(a.seal.handshake.session.join());
      expect(b.hear(a.send(String(i)))).toBe(String(i));
    }
    expect(sessions.size).toBeGreaterThan(5);
    expect(b.refused()).toEqual({});
  });
});

describe("changing keys", () => {
  const both = [one, two] as const;
  const later = [two, one] as const;
  const talk = (): void => {
    for (let i = 0; i < 5; i++) {
      expect(b.hear(a.send("on"))).toBe("on");
      expect(a.hear(b.send("on"))).toBe("on");
    }
  };

  test("add, switch and drop on one after the other lose nothing, and no session begins anew", () => {
    const session = b.seal.handshake.peerSession.slice();
    const steps: readonly (readonly LinkKeys[])[] = [
      [both, both],
      [later, later],
      [[two], [two]],
    ];
    for (const [first, second] of steps) {
      const onTheWay = a.send("on the way");
      a.seal.rekey(first!);
      talk();
      b.seal.rekey(second!);
      talk();
      if (second!.length > 1) expect(b.hear(onTheWay)).toBe("on the way");
    }
    expect([a.refused(), b.refused()]).toEqual([{}, {}]);
    expect(b.seal.handshake.peerSession).toEqual(session);
    expect([a.seal.key, a.seal.peerKey]).toEqual([two.id, two.id]);
  });

  test("a key that was dropped opens nothing more", () => {
    const old = [a.send("old"), a.greet()];
    for (const end of [a, b]) end.seal.rekey(later);
    talk();
    for (const end of [a, b]) end.seal.rekey([two]);
    for (const datagram of old) expect(b.hear(datagram)).toBeUndefined();
    expect(b.refused()).toEqual({ wrongKey: 2 });
    talk();
  });

  test("a daemon that starts in the midst of it joins, whichever step its file is at", () => {
    for (const keys of [both, later] as const) {
      b.seal.rekey(keys);
      a = new End(keys === both ? later : both);
      shakeHands(a, b);
      talk();
    }
  });

  test("a counter is used once, whatever key it goes with", () => {
    const counters = new Set<string>();
    for (let i = 0; i < 30; i++) {
      a.seal.rekey(i % 2 === 0 ? both : later);
      counters.add(Buffer.from(a.send("x").subarray(16, 24)).toString("hex"));
      counters.add(Buffer.from(a.greet().subarray(16, 24)).toString("hex"));
    }
    expect(counters.size).toBe(60);
  });
});

describe("docs/protocol.md, read by somebody else", () => {
  const key: LinkKey = linkKey(new Uint8Array(32).fill(7));

  /** Opens a datagram as the page says, with nothing of src/. */
  function opened(datagram: Uint8Array, purpose: string, receiver: Uint8Array = new Uint8Array()): Buffer {
    const info = Buffer.concat([Buffer.from(purpose), datagram.subarray(8, 16), receiver]);
    const secret = Buffer.from(hkdfSync("sha256", key.secret, "", info, 32));
    const nonce = Buffer.concat([Buffer.alloc(4), datagram.subarray(16, 24)]);
    const decipher = createDecipheriv("aes-256-gcm", secret, nonce, { authTagLength: 16 });
    decipher.setAAD(datagram.subarray(0, 24));
    decipher.setAuthTag(datagram.subarray(-16));
    return Buffer.concat([decipher.update(datagram.subarray(24, -16)), decipher.final()]);
  }

  test("finds header, greeting and data", () => {
    [a, b] = [new End([key]), new End([key])];
    const hello = a.greet();
    const bigEndian = (words: Uint32Array): Buffer => {
      const bytes = Buffer.alloc(words.length * 4);
      for (const [i, word] of words.entries()) bytes.writeUInt32BE(word, i * 4);
      return bytes;
    };
    const id = Buffer.from(hkdfSync("sha256", key.secret, "", "ctsync key id", 4));
    const session = bigEndian(a.seal.handshake.session);
    const header = [Buffer.from([0xc1, 1, 0, HELLO_BYTES]), id, session, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])];
    expect(Buffer.from(hello.subarray(0, 24))).toEqual(Buffer.concat(header));
    const challenge = bigEndian(a.seal.handshake.challenge);
    expect(opened(hello, "ctsync seal 1 hello")).toEqual(Buffer.concat([Buffer.alloc(8), challenge, Buffer.alloc(16)]));
    shakeHands(a, b);
    const data = a.send("a flow");
    const receiver = bigEndian(b.seal.handshake.session);
    expect([data[0], data[1], data[3]]).toEqual([0xc1, 2, data.length]);
    expect(opened(data, "ctsync seal 1 data", receiver).toString()).toBe("a flow");
  });
});
