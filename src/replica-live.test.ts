/** Whose a flow is where a backup's kernel has the peer's flows too. */
import { beforeEach, describe, expect, test } from "bun:test";
import { keyOf, makeFlow } from "../test/make-flow.ts";
import { Node, talk } from "../test/replica-node.ts";
import { DEAD } from "./cache/internal.ts";
import { Flow, portsWord, REPLY_PORTS } from "./flow/flow.ts";
import { EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE } from "./replica.ts";
import type { Live } from "./replica-live.ts";

const numbered = (i: number): Flow => makeFlow({ ports: portsWord(1_000 + i, 443) });

/** A peer, and a node whose kernel follows it: over an open channel, or as two ctsync nodes that know each other. */
function nodes(extended: boolean): [Node, Node] {
  const pair: [Node, Node] = [
    new Node(1_000, 16, extended ? 11 : undefined, { live: true }),
    new Node(5_000, 16, extended ? 22 : undefined, { live: true }),
  ];
  for (let i = 0; i < 3; i++) talk(...pair, 1_000);
  for (const { replica } of pair) replica.live!.holding = false;
  return pair;
}
const live = (node: Node): Live => node.replica.live!;
const sent = (node: Node): number => node.replica.counters.wire.flowsSent;
const owns = ({ replica }: Node, i: number): boolean => live({ replica } as Node).isOurs(numbered(i));
const knows = ({ replica }: Node, i: number): boolean => replica.external.find(numbered(i)) >= 0;

/** Everything that waits is told to a kernel that takes it. */
function apply(node: Node): { made: string[]; deleted: string[] } {
  const { queue } = live(node);
  const flow = new Flow();
  const [made, deleted]: [string[], string[]] = [[], []];
  while (queue.nextWithdrawn(flow)) deleted.push(keyOf(flow));
  for (let slot = queue.next(node.nowMs); slot >= 0; slot = queue.next(node.nowMs)) {
    node.replica.external.read(slot, flow, node.nowMs);
    queue.applied(slot, 100, node.nowMs);
    made.push(keyOf(flow));
  }
  return { made, deleted };
}

describe.each([false, true])("between two nodes that know each other: %p", (extended) => {
  let primary: Node;
  let backup: Node;
  beforeEach(() => {
    [primary, backup] = nodes(extended);
    primary.replica.role = "master";
    backup.replica.role = "backup";
    live(backup).queue.follow(true);
    primary.event(EVENT_NEW, numbered(1));
    talk(primary, backup, 1_000);
    expect(apply(backup)).toEqual({ made: [keyOf(numbered(1))], deleted: [] });
  });

  test("what was applied does not come back from a dump, and nothing is said of it", () => {
    expect(backup.replica.kernelEntry(numbered(1), backup.nowMs)).toBe("peers");
    talk(primary, backup, 1_100);
    expect([owns(backup, 1), sent(backup)]).toEqual([false, 0]);
  });

  test("nor while it waits to be deleted", () => {
    primary.event(EVENT_DESTROY, numbered(1));
    talk(primary, backup, 1_100);
    expect(backup.replica.kernelEntry(numbered(1), backup.nowMs)).toBe("peers");
    expect(apply(backup).deleted).toEqual([keyOf(numbered(1))]);
  });

  test("its own kernel moves it: it is announced, until the peer's kernel moves it again", () => {
    backup.event(EVENT_UPDATE, numbered(1));
    talk(primary, backup, 1_100);
    expect([owns(backup, 1), knows(primary, 1)]).toEqual([true, true]);
    primary.event(EVENT_UPDATE, makeFlow({ ports: portsWord(1_001, 443), mark: 7 }));
    talk(primary, backup, 1_100);
    expect([owns(backup, 1), knows(backup, 1), knows(primary, 1)]).toEqual([false, true, false]);
  });

  test("its entry ends though the peer keeps it: it is made again a second later", () => {
    backup.event(EVENT_DESTROY, numbered(1));
    expect(live(backup).queue.nextDue(0, 16, backup.nowMs + 1_000)).toBe(0);
    talk(primary, backup, 1_100);
    expect(sent(backup)).toBe(0);
  });

  test.each(["an event", "a reading of the table"])(
    "both announce it, and its entry ends here, as %s tells: the peer's is made in its place a second later",
    (teller) => {
      const { external, internal } = backup.replica;
      const { queue } = live(backup);
      backup.event(EVENT_UPDATE, numbered(1));
      queue.forget(external.find(numbered(1))); // As apply.ts does with what is this node's own.
      if (teller === "an event") backup.event(EVENT_DESTROY, numbered(1));
      else backup.replica.ended(internal.find(numbered(1)), backup.nowMs);
      expect(internal.count).toBe(0);
      expect(queue.nextDue(0, 16, backup.nowMs)).toBe(-1);
      expect(queue.nextDue(0, 16, backup.nowMs + 1_000)).toBe(external.find(numbered(1)));
    },
  );

  test("a takeover makes it its own without a moment in between, and says so once", () => {
    live(backup).queue.follow(false);
    expect(live(backup).adopt(numbered(1), backup.nowMs)).toBe("created");
    expect([owns(backup, 1), knows(backup, 1)]).toEqual([true, extended]);
    talk(primary, backup, 1_100);
    expect([knows(primary, 1), sent(backup), knows(backup, 1), owns(backup, 1)]).toEqual([true, 1, false, true]);
  });

  test("what a takeover has adopted is counted once, whatever begins and ends beside it", () => {
    live(backup).queue.follow(false);
    backup.event(EVENT_NEW, numbered(3));
    live(backup).adopt(numbered(1), backup.nowMs);
    backup.event(EVENT_DESTROY, numbered(3));
    for (const i of [1, 2]) live(backup).adopt(numbered(i), backup.nowMs); // The dump begins again; one is new.
    expect(live(backup).adopted).toBe(1);
  });

  test("what a former primary yielded before it stepped down goes from its kernel if it is another entry than the peer's", () => {
    const old = numbered(1);
    old.words[REPLY_PORTS] = portsWord(443, 60_000);
    expect(live(backup).replaces(old, backup.nowMs)).toBeTrue();
    expect(apply(backup)).toEqual({ made: [keyOf(old)], deleted: [keyOf(old)] });
    expect(live(backup).replaces(numbered(1), backup.nowMs)).toBeFalse();
    expect(live(backup).replaces(numbered(2), backup.nowMs)).toBeFalse();
    backup.event(EVENT_UPDATE, numbered(1));
    expect(live(backup).replaces(old, backup.nowMs)).toBeFalse();
  });

  test("what the peer told of since a takeover began stays, as that peer may be primary too", () => {
    const { external } = backup.replica;
    live(backup).queue.follow(false);
    external.beginTakeover();
    primary.event(EVENT_NEW, numbered(2));
    primary.event(EVENT_UPDATE, makeFlow({ ports: portsWord(1_001, 443), mark: 7 }));
    backup.nowMs = primary.nowMs;
    backup.hears(...primary.says(100));
    for (const i of [1, 2]) live(backup).adopt(numbered(i), backup.nowMs);
    expect([1, 2].map((i) => [owns(backup, i), knows(backup, i)])).toEqual([
      [true, true],
      [true, true],
    ]);
    external.beginTakeover();
    for (const i of [1, 2]) live(backup).adopt(numbered(i), backup.nowMs);
    expect([knows(backup, 1), knows(backup, 2)]).toEqual([extended, extended]);
  });

  test("a former primary gives up what its peer names, and what has another NAT there goes from its kernel first", () => {
    const old = numbered(1);
    old.words[REPLY_PORTS] = portsWord(443, 60_000);
    primary.event(EVENT_UPDATE, old);
    talk(primary, backup, 1_100);
    live(backup).queue.follow(false);
    backup.replica.role = "master";
    primary.replica.role = "backup";
    live(primary).queue.follow(true);
    live(backup).adopt(numbered(1), backup.nowMs);
    talk(primary, backup, 1_100);
    expect([owns(primary, 1), knows(primary, 1)]).toEqual([false, true]);
    expect(apply(primary)).toEqual({ made: [keyOf(numbered(1))], deleted: [keyOf(numbered(1))] });
  });
});

describe.each([false, true])(
  "a new primary names a flow before the old one steps down; they know each other: %p",
  (extended) => {
    let old: Node;
    let next: Node;
    /** In the old primary's kernel, by now. */
    const standing = numbered(1);
    beforeEach(() => {
      [old, next] = nodes(extended);
      old.replica.role = "master";
      next.replica.role = "backup";
      live(next).queue.follow(true);
      old.event(EVENT_NEW, standing);
      for (let i = 0; i < 3; i++) talk(old, next, 1_000);
      apply(next);
    });

    /** keepalived's word has come to the new primary alone. */
    function takeOver(): void {
      next.replica.role = "master";
      live(next).queue.follow(false);
      next.replica.external.beginTakeover();
      next.nowMs = old.nowMs;
      live(next).adopt(numbered(1), next.nowMs);
    }

    /** As apply.ts begins; what it would tell the kernel. */
    function stepDown(): { made: string[]; deleted: string[] } {
      const { replica } = old;
      replica.role = "stop";
      live(old).queue.follow(true);
      for (let slot = replica.external.nextLive(0); slot >= 0; slot = replica.external.nextLive(slot + 1))
        live(old).follow(slot, old.nowMs);
      const theirs = replica.external.find(standing);
      if (owns(old, 1) && theirs >= 0) live(old).queue.forget(theirs);
      return apply(old);
    }

    test("it is the new one's as soon as the old one hears that it is none", () => {
      takeOver();
      talk(old, next, 1_000);
      expect(owns(old, 1)).toBe(!extended);
      expect(stepDown()).toEqual({ made: [keyOf(standing)], deleted: [] });
      expect([owns(old, 1), live(old).queue.stands(old.replica.external.find(standing))]).toEqual([false, true]);
      talk(old, next, 1_000);
      expect([knows(next, 1), owns(next, 1)]).toEqual([false, true]);
    });

    test("and goes from the old one's kernel first, if it has another NAT there", () => {
      const other = numbered(1);
      other.words[REPLY_PORTS] = portsWord(443, 60_000);
      old.event(EVENT_UPDATE, other);
      for (let i = 0; i < 3; i++) talk(old, next, 1_000);
      takeOver();
      talk(old, next, 1_000);
      const deleted = extended ? [] : [keyOf(standing)]; // Of what a claim took, resetTimers finds it in the kernel.
      expect(stepDown()).toEqual({ made: [keyOf(standing)], deleted });
    });

    test("but it is the old one's if it moved there since, until the new one speaks again", () => {
      takeOver();
      talk(old, next, 1_000);
      old.event(EVENT_UPDATE, makeFlow({ ports: portsWord(1_001, 443), mark: 7 }));
      for (let i = 0; i < 3; i++) talk(old, next, 1_000);
      expect([stepDown().made, owns(old, 1)]).toEqual([[], true]);
      next.event(EVENT_UPDATE, numbered(1));
      talk(old, next, 1_000);
      expect(owns(old, 1)).toBeFalse();
    });

    test("or if a reading of the kernel says so, as the event was lost, unless a claim has taken it", () => {
      takeOver();
      talk(old, next, 1_000);
      const entry = old.replica.kernelEntry(makeFlow({ ports: portsWord(1_001, 443), mark: 7 }), old.nowMs);
      expect(entry).toBe(extended ? "peers" : "updated");
      stepDown();
      expect(owns(old, 1)).toBe(!extended);
    });

    test("or if the new one could not know, when it spoke, that it had moved there, unless claims decide", () => {
      takeOver();
      old.event(EVENT_UPDATE, makeFlow({ ports: portsWord(1_001, 443), mark: 7 }));
      const crossing = old.says();
      old.hears(...next.says());
      next.hears(...crossing);
      expect([stepDown().made, owns(old, 1)]).toEqual(extended ? [[keyOf(standing)], false] : [[], true]);
    });

    test("where both announced it, the old one says so again when it is primary once more", () => {
      takeOver();
      talk(old, next, 1_000);
      old.event(EVENT_UPDATE, numbered(1));
      talk(old, next, 1_000);
      next.replica.external.destroy(numbered(1), 0); // As a second takeover there does.
      stepDown();
      old.replica.role = "master";
      live(old).queue.follow(false);
      old.replica.external.beginTakeover();
      live(old).adopt(numbered(1), old.nowMs);
      talk(old, next, 1_000);
      expect([owns(old, 1), knows(next, 1)]).toEqual([true, true]);
    });
  },
);

describe("after a start, what stands in the kernel", () => {
  let peer: Node;
  let node: Node;
  beforeEach(() => {
    [peer, node] = nodes(false);
    live(node).holding = true;
    live(node).queue.follow(true);
  });
  const settled = (i: number): string => live(node).settle(node.replica.internal.find(numbered(i)), node.nowMs);

  test("is announced to nobody until the peer has said what is its own, and not even then if it did", () => {
    for (const i of [1, 2]) expect(node.replica.kernelEntry(numbered(i), node.nowMs)).toBe("created");
    peer.event(EVENT_NEW, numbered(1));
    node.replica.sessions[0]!.bulk();
    talk(peer, node, 1_100);
    expect([sent(node), node.replica.internal.find(numbered(1)), owns(node, 2)]).toEqual([0, -1, false]);
    node.replica.role = "backup";
    expect(settled(2)).toBe("left over");
    node.replica.ended(node.replica.internal.find(numbered(2)), node.nowMs);
    talk(peer, node, 1_100);
    expect([sent(node), node.replica.internal.count]).toEqual([0, 0]);
  });

  test("is ours where the peer names little of it", () => {
    for (const i of [1, 2, 3]) node.replica.kernelEntry(numbered(i), node.nowMs);
    peer.event(EVENT_NEW, numbered(1));
    talk(peer, node, 1_100);
    expect([settled(2), settled(3)]).toEqual(["ours", "ours"]);
    talk(peer, node, 1_100);
    expect([sent(node), knows(peer, 2), knows(peer, 3)]).toEqual([2, true, true]);
  });

  test("is in doubt where the peer names most, until somebody says who is primary or packets pass", () => {
    for (const i of [1, 2, 3, 4]) node.replica.kernelEntry(numbered(i), node.nowMs);
    for (const i of [1, 2, 3]) peer.event(EVENT_NEW, numbered(i));
    talk(peer, node, 1_100);
    expect(settled(4)).toBe("in doubt");
    node.event(EVENT_UPDATE, numbered(4));
    expect(owns(node, 4)).toBeTrue();
    // And what the peer lets go may be in use here.
    apply(node);
    peer.event(EVENT_DESTROY, numbered(1));
    talk(peer, node, 1_100);
    expect(live(node).queue.nextWithdrawn(new Flow())).toBeTrue();
    expect([live(node).queue.doubtful, live(node).inDoubt]).toEqual([true, true]);
  });

  test("is ours at once where an event says so, or keepalived", () => {
    for (const i of [1, 2]) node.replica.kernelEntry(numbered(i), node.nowMs);
    node.event(EVENT_UPDATE, numbered(1));
    expect([owns(node, 1), owns(node, 2)]).toEqual([true, false]);
    live(node).queue.follow(false);
    live(node).holding = false;
    node.replica.kernelEntry(numbered(2), node.nowMs, true);
    expect(owns(node, 2)).toBeTrue();
    talk(peer, node, 1_100);
    expect(sent(node)).toBe(2);
  });

  test("and ended before anybody was told is said to nobody", () => {
    node.replica.kernelEntry(numbered(1), node.nowMs);
    node.event(EVENT_DESTROY, numbered(1));
    talk(peer, node, 1_100);
    expect([sent(node), node.replica.internal.count, node.replica.internal.deadCount]).toEqual([0, 0, 0]);
    expect(node.replica.internal.lifeOf(0)).not.toBe(DEAD);
  });
});

describe("between two ctsync nodes, one of which was restarted", () => {
  let peer: Node;
  let node: Node;
  beforeEach(() => {
    [peer, node] = nodes(true);
    live(node).holding = true;
    live(node).queue.follow(true);
  });
  const slotOf = (i: number): number => node.replica.internal.find(numbered(i));

  test("what is held goes to the peer that claims it by more than a dump, and stands in our kernel for it", () => {
    peer.replica.role = "master";
    node.replica.kernelEntry(numbered(1), node.nowMs);
    peer.event(EVENT_NEW, numbered(1));
    talk(peer, node, 1_100);
    expect([slotOf(1), sent(node), knows(node, 1)]).toEqual([-1, 0, true]);
    expect(live(node).queue.stands(node.replica.external.find(numbered(1)))).toBeTrue();
  });

  test("a peer that says it is backup, and found the flow in a dump, takes it neither before nor after it was held", () => {
    peer.replica.role = "backup";
    talk(peer, node, 1_100);
    node.replica.kernelEntry(numbered(1), node.nowMs);
    for (const i of [1, 2]) peer.replica.kernelEntry(numbered(i), peer.nowMs);
    talk(peer, node, 1_100);
    expect([owns(node, 1), owns(peer, 1), knows(node, 1)]).toEqual([true, false, false]);
    expect(node.replica.kernelEntry(numbered(2), node.nowMs)).toBe("created");
    talk(peer, node, 1_100);
    expect([owns(node, 2), owns(peer, 2), knows(node, 2)]).toEqual([true, false, false]);
    node.replica.kernelEntry(numbered(3), node.nowMs);
    expect(live(node).settle(slotOf(3), node.nowMs)).toBe("ours");
  });

  test("what was put into the kernel for the peer is not claimed, however low the peer's claim", () => {
    peer.replica.role = "backup";
    peer.replica.kernelEntry(numbered(1), peer.nowMs);
    talk(peer, node, 1_100);
    apply(node);
    expect(node.replica.kernelEntry(numbered(1), node.nowMs)).toBe("peers");
    talk(peer, node, 1_100);
    expect([sent(node), owns(peer, 1)]).toEqual([0, true]);
  });

  test("what the peer lets go leaves the kernel, and needs no reading of its table", () => {
    peer.replica.role = "master";
    node.replica.role = "backup";
    peer.event(EVENT_NEW, numbered(1));
    talk(peer, node, 1_100);
    apply(node);
    node.replica.kernelEntry(numbered(1), node.nowMs);
    peer.event(EVENT_DESTROY, numbered(1));
    talk(peer, node, 1_100);
    expect([apply(node).deleted, node.replica.ownership.wantsReading]).toEqual([[keyOf(numbered(1))], false]);
  });
});
