/** Who announces a flow that stands in both kernels. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { give, makeFlow } from "../test/make-flow.ts";
import { extendedPair, Node, PEER, pair, talk } from "../test/replica-node.ts";
import { Flow, HAS_MARK, MARK, portsWord } from "./flow/flow.ts";
import { IPS_ASSURED, IPS_DYING, IPS_HELPER, IPS_OFFLOAD } from "./flow/status.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "./replica.ts";

const TUPLES = 5;
const numbered = (i: number, status = 0) => makeFlow({ ports: portsWord(1_000 + i, 443), status });

/** Whether the node announces the flow; whether its peer told of it. */
const owns = ({ replica }: Node, i: number): boolean => {
  const slot = replica.internal.find(numbered(i));
  return slot >= 0 && replica.internal.lifeOf(slot) !== 2;
};
const knows = ({ replica }: Node, i: number): boolean => replica.external.find(numbered(i)) >= 0;
const marked = (i: number) => give(numbered(i), HAS_MARK, MARK, 42);

function markAt({ replica, nowMs }: Node, i: number): number {
  const flow = new Flow();
  replica.external.read(replica.external.find(numbered(i)), flow, nowMs);
  return flow.words[MARK];
}

/** A has the flow and told of it; B has committed it. */
function committed(): [Node, Node] {
  const [a, b] = extendedPair();
  a.event(EVENT_NEW, marked(1));
  talk(a, b, 10);
  return [a, b];
}

describe("a flow in both kernels", () => {
  test("that was committed does not come back from a dump", () => {
    const [a, b] = committed();
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("peers");
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([true, false, false, true]);
  });

  test("goes over to the node whose kernel sees it move", () => {
    const [a, b] = committed();
    b.event(EVENT_UPDATE, numbered(1, IPS_ASSURED));
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
    expect(a.replica.counters.cache.yielded).toBe(1);
    a.event(EVENT_UPDATE, numbered(1));
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([true, false, false, true]);
  });

  test("goes over at once, though the peer's announcement is not acknowledged yet", () => {
    for (const back of [false, true]) {
      const [a, b] = back ? extendedPair().toReversed() : extendedPair();
      a.event(EVENT_NEW, numbered(1));
      b.hears(...a.says(1));
      b.event(EVENT_NEW, numbered(1));
      talk(a, b, 1);
      talk(a, b, 1_100);
      expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
    }
  });

  test("keeps what the peer knew of it, though the update that moved it says less", () => {
    const [a, b] = committed();
    b.event(EVENT_UPDATE, numbered(1, IPS_ASSURED));
    talk(a, b, 1_100);
    expect(markAt(a, 1)).toBe(42);
  });

  test("is known as a whole once the kernel's table was read, if an update moved it after the peer let it go", () => {
    const [a, b] = committed();
    a.event(EVENT_DESTROY, marked(1));
    talk(a, b, 10);
    b.event(EVENT_UPDATE, numbered(1, IPS_ASSURED));
    talk(a, b, 10);
    expect([markAt(a, 1), b.replica.counters.cache.halfKnown]).toEqual([0, 1]);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("updated");
    talk(a, b, 10);
    expect(markAt(a, 1)).toBe(42);
  });

  test("is the node's own once the peer has let it go, and asks for a reading that finds it", () => {
    const [a, b] = committed();
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("peers");
    expect(b.replica.ownership.wantsReading).toBe(false);
    a.event(EVENT_DESTROY, numbered(1));
    talk(a, b, 1_100);
    expect(b.replica.ownership.wantsReading).toBe(true);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("created");
  });

  test("stays the peer's while the external cache has it, though the peer is silent or lives anew without it", () => {
    const [, silent] = committed();
    silent.says(10_000);
    expect(silent.replica.kernelEntry(marked(1), silent.nowMs)).toBe("peers");

    const [a, b] = committed();
    const reborn = new Node(900_000, 16, 77);
    reborn.nowMs = a.nowMs;
    talk(reborn, b, 1_000);
    expect(knows(b, 1)).toBe(true);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("peers");
    for (let i = 0; i < 7; i++) talk(reborn, b, 10_000);
    expect([knows(b, 1), b.replica.ownership.wantsReading]).toEqual([false, true]);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("created");
  });

  test("is claimed by a takeover, and the former primary tells nothing more of it", () => {
    const [a, b] = committed();
    expect(b.replica.kernelEntry(marked(1), b.nowMs, true)).toBe("created");
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
    const sent = a.replica.counters.wire.flowsSent;
    a.event(EVENT_DESTROY, numbered(1)); // Its timer ran out where nobody renews it.
    talk(a, b, 1_100);
    expect(a.replica.counters.wire.flowsSent).toBe(sent);
    expect(knows(a, 1)).toBe(true);
  });

  test("that moves in both at once stays with the higher epoch", () => {
    const [a, b] = extendedPair(); // Epochs 11 and 22.
    a.event(EVENT_NEW, numbered(1));
    b.event(EVENT_NEW, numbered(1));
    talk(a, b, 10);
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
  });

  test("is the new primary's, whatever the former one repeats, and whosever epoch is higher", () => {
    for (const higher of [0, 1]) {
      const [former, heir] = higher === 0 ? extendedPair() : extendedPair().toReversed();
      former.event(EVENT_NEW, marked(1));
      talk(former, heir, 10);
      former.replica.role = "backup";
      heir.replica.role = "master";
      heir.replica.flushExternal();
      expect(heir.replica.kernelEntry(marked(1), heir.nowMs, true)).toBe("created");
      // The former primary tells all it has before it hears of that.
      former.replica.sessions[PEER].bulk();
      heir.hears(...former.says(10));
      talk(former, heir, 10);
      talk(former, heir, 1_100);
      expect([owns(former, 1), owns(heir, 1), knows(former, 1), knows(heir, 1)]).toEqual([false, true, true, false]);
      expect(heir.replica.counters.cache.yielded).toBe(0);
    }
  });

  test("is not taken away by a restarted daemon that finds it in its kernel", () => {
    const [a, b] = committed();
    const reborn = new Node(900_000, 16, 99); // Of the highest epoch.
    reborn.nowMs = a.nowMs;
    expect(reborn.replica.kernelEntry(numbered(1), reborn.nowMs)).toBe("created");
    b.event(EVENT_UPDATE, numbered(1, IPS_ASSURED));
    for (let i = 0; i < 5; i++) talk(reborn, b, 1_000);
    expect([owns(reborn, 1), owns(b, 1), knows(reborn, 1), knows(b, 1)]).toEqual([false, true, true, false]);
    expect(b.replica.counters.cache.yielded).toBe(0);
  });

  test("is the present primary's, though the roles changed twice while neither heard the other", () => {
    const [a, b] = extendedPair(); // Epochs 11 and 22.
    for (const node of [b, a]) {
      node.replica.role = "master";
      node.event(EVENT_NEW, marked(1));
    }
    b.replica.role = "backup";
    for (let i = 0; i < 3; i++) talk(a, b, 1_000);
    expect(a.replica.ownership.wantsTakingOn).toBe(true);
    a.replica.ownership.tookOn();
    expect([a.replica.ownership.reigning.number, b.replica.ownership.reigning.number]).toEqual([2, 1]);
    expect([a.replica.ownership.wantsReading, a.replica.ownership.wantsClaims]).toEqual([true, true]);
    a.replica.kernelEntry(marked(1), a.nowMs, true);
    for (let i = 0; i < 3; i++) talk(a, b, 1_000);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([true, false, false, true]);
    const { number } = a.replica.ownership.reigning;
    for (let i = 0; i < 3; i++) talk(a, b, 1_000);
    expect(a.replica.ownership.reigning.number).toBe(number);
  });

  /** B took over while A did not hear of it, and its daemon was started anew; A, of higher epoch, learns from keepalived that it is backup. */
  function takenInSilence(): [Node, Node] {
    const [b, a] = extendedPair();
    a.event(EVENT_NEW, marked(1));
    b.replica.kernelEntry(numbered(1), b.nowMs);
    talk(a, b, 10);
    return [a, b];
  }

  test("is the present primary's, though its daemon was started anew and the former one never heard of its reign", () => {
    const [a, b] = takenInSilence();
    expect([owns(a, 1), owns(b, 1)]).toEqual([true, false]);
    a.replica.role = "backup";
    talk(a, b, 10);
    expect([b.replica.ownership.wantsClaims, b.replica.ownership.reigning.number]).toEqual([true, 1]);
    b.replica.kernelEntry(numbered(1), b.nowMs, true);
    for (let i = 0; i < 3; i++) talk(a, b, 1_000);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
    expect([b.replica.ownership.reigning.number, a.replica.ownership.reigning.number]).toEqual([1, 0]);
  });

  test("stays with the peer where the peer is primary, or has not said what it is", () => {
    for (const role of ["master", "unknown"] as const) {
      const [a, b] = takenInSilence();
      a.replica.role = role;
      for (let i = 0; i < 3; i++) talk(a, b, 1_000);
      expect([owns(a, 1), owns(b, 1), b.replica.ownership.wantsClaims]).toEqual([true, false, false]);
    }
  });

  test("is the true primary's again once the other one is backup again", () => {
    const [a, b] = extendedPair();
    a.replica.role = "master";
    a.event(EVENT_NEW, marked(1));
    talk(a, b, 10);
    b.replica.role = "master";
    b.replica.flushExternal();
    b.replica.kernelEntry(marked(1), b.nowMs, true);
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1)]).toEqual([false, true]);
    b.replica.role = "backup";
    talk(a, b, 1_100);
    a.replica.ownership.tookOn();
    expect(a.replica.ownership.wantsClaims).toBe(true);
    a.replica.kernelEntry(marked(1), a.nowMs, true);
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([true, false, false, true]);
  });

  describe("of which the peer said only that it stands there, while events were lost here", () => {
    /** Two whose roles nobody knows: A found the flow in its kernel, and B knows all that its own has. */
    function found(): [Node, Node] {
      const [b, a] = extendedPair(); // The epoch of A is the higher one.
      b.replica.kernelRead(b.replica.ownership.reading);
      a.replica.kernelEntry(marked(1), a.nowMs);
      talk(a, b, 10);
      expect([owns(a, 1), knows(b, 1)]).toEqual([true, true]);
      return [a, b];
    }
    const dumped = ({ replica, nowMs }: Node, flow: Flow) => replica.kernelEntry(flow, nowMs);
    const isTaken = (a: Node, b: Node): void => {
      talk(a, b, 1_100);
      expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
      expect(markAt(a, 1)).toBe(0);
    };

    test("is ours if it has begun here since the whole table was read", () => {
      const [a, b] = found();
      expect(dumped(b, numbered(1))).toBe("created");
      isTaken(a, b);
    });

    test("is ours if it ended here, as an event told, and stands here again", () => {
      const [a, b] = found();
      b.replica.ownership.kernelWritten();
      expect(dumped(b, numbered(1))).toBe("peers");
      b.replica.kernelRead(b.replica.ownership.reading);
      b.event(EVENT_DESTROY, numbered(1));
      expect(dumped(b, numbered(1))).toBe("created");
      isTaken(a, b);
    });

    test("is ours if a dump shows it otherwise than the one before", () => {
      const [a, b] = found();
      b.replica.ownership.kernelWritten();
      expect(dumped(b, numbered(1))).toBe("peers");
      expect(dumped(b, numbered(1))).toBe("peers");
      expect(b.replica.compareEntry(numbered(1, IPS_ASSURED))).toBe("missing");
      expect(dumped(b, numbered(1, IPS_ASSURED))).toBe("created");
      isTaken(a, b);
    });

    test("stays the peer's if nobody can say since when it stands here", () => {
      const stays: readonly ((b: Node, begun: number) => void)[] = [
        (b) => b.replica.ownership.kernelWritten(),
        (b) => b.replica.flushInternal(),
        (b, begun) => {
          b.replica.ownership.kernelWritten();
          b.replica.kernelRead(begun); // A reading that began before.
        },
      ];
      for (const happens of stays) {
        const [, b] = found();
        happens(b, b.replica.ownership.reading);
        expect(dumped(b, numbered(1))).toBe("peers");
      }
    });

    test("stays the peer's if we have written it into our kernel, or the kernel itself changed it", () => {
      const [, b] = found();
      b.replica.ownership.kernelWritten();
      expect(dumped(b, numbered(1))).toBe("peers");
      b.replica.ownership.kernelWritten();
      expect(dumped(b, marked(1))).toBe("peers");
      for (const status of [IPS_DYING, IPS_OFFLOAD, IPS_HELPER])
        expect(dumped(b, give(numbered(1, status), HAS_MARK, MARK, 42))).toBe("peers");
      expect(dumped(b, marked(1))).toBe("peers");
    });

    test("stays the peer's where it did so before the peer let it go, and is weak then", () => {
      const [a, b] = found();
      b.replica.ownership.kernelWritten();
      expect(dumped(b, numbered(1))).toBe("peers");
      b.replica.kernelRead(b.replica.ownership.reading);
      a.event(EVENT_DESTROY, marked(1));
      talk(a, b, 10);
      expect(dumped(b, numbered(1))).toBe("created");
      expect(b.replica.ownership.claimOn(b.replica.internal.find(numbered(1)))).toBe(2);
    });
  });

  test("that only stands in the kernel of a backup does not keep it from the primary", () => {
    const [a, b] = extendedPair();
    a.replica.role = "backup";
    expect(a.replica.kernelEntry(numbered(1), a.nowMs)).toBe("created");
    talk(a, b, 10);
    expect(knows(b, 1)).toBe(true);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("created");
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([false, true, true, false]);
  });

  test("towards another peer nobody yields", () => {
    const [a, b] = pair();
    a.event(EVENT_NEW, marked(1));
    talk(a, b, 10);
    expect(b.replica.kernelEntry(marked(1), b.nowMs)).toBe("created");
    talk(a, b, 1_100);
    expect([owns(a, 1), owns(b, 1), knows(a, 1), knows(b, 1)]).toEqual([true, true, true, true]);
  });
});

type Step = {
  readonly node: 0 | 1;
  readonly tuple: number;
  readonly what: "event" | "end" | "dump" | "talk";
  readonly loss: number;
};
const step: fc.Arbitrary<Step> = fc.record({
  node: fc.constantFrom<0 | 1>(0, 1),
  tuple: fc.integer({ min: 1, max: TUPLES }),
  what: fc.constantFrom("event", "event", "event", "end", "dump", "talk", "talk"),
  loss: fc.integer({ min: 0, max: 3 }),
});

describe("two nodes whose kernels move the same flows", () => {
  test("come to one announcer each, in agreement, and then fall silent", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const nodes = extendedPair(64);
        const kernels = [new Set<number>(), new Set<number>()];
        const ended = new Set<number>();
        const moved = new Set<number>();
        for (const [round, { node, tuple, what, loss }] of steps.entries()) {
          const here = nodes[node];
          if (what === "event") {
            here.event(kernels[node].has(tuple) ? EVENT_UPDATE : EVENT_NEW, numbered(tuple, round));
            kernels[node].add(tuple);
            moved.add(tuple);
          } else if (what === "end" && kernels[node].delete(tuple)) {
            here.event(EVENT_DESTROY, numbered(tuple));
            ended.add(tuple);
          } else if (what === "dump")
            for (const i of kernels[node]) here.replica.kernelEntry(numbered(i, round), here.nowMs);
          else if (what === "talk") {
            // One datagram in so many is lost, and neither waits for the other.
            const said = nodes.map((each) => each.says(20));
            for (const side of [0, 1]) nodes[1 - side].hears(...said[side].filter((_, i) => (i + round) % 4 >= loss));
          }
        }
        const settle = (): void => {
          for (let i = 0; i < 16; i++) talk(...nodes, 500);
        };
        settle();
        for (const i of moved) {
          const owners = nodes.filter((node) => owns(node, i)).length;
          expect(owners).toBeLessThanOrEqual(1);
          if (!ended.has(i)) expect(owners).toBe(1);
        }
        for (const side of [0, 1]) {
          for (const i of kernels[side]) nodes[side].replica.kernelEntry(numbered(i, 0), nodes[side].nowMs);
          settle();
        }
        for (let i = 1; i <= TUPLES; i++) {
          const [a, b] = nodes.map((node) => owns(node, i));
          const held = kernels.some((kernel) => kernel.has(i));
          expect([a, b].filter(Boolean)).toHaveLength(held ? 1 : 0);
          expect(nodes.map((node) => knows(node, i))).toEqual([b, a]);
        }
        const sent = () => nodes.map((node) => node.replica.counters.wire.flowsSent);
        const before = sent();
        settle();
        expect(sent()).toEqual(before);
        for (const node of nodes) expect(node.replica.proof(PEER).differing).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
