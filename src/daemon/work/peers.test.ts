import { describe, expect, test } from "bun:test";
import type { Session } from "../../sync/session.ts";
import { monotonicMs } from "../clock.ts";
import type { Node } from "../node.ts";
import { bulk, goneFrom } from "./peers.ts";

/** A peer that counts as connected, was heard so long ago, and has not had the bulk yet. */
function nodeWith(heardAgoMs: number, up: boolean) {
  const session = { heardMs: monotonicMs() - heardAgoMs, bulkDone: false, begun: 0 };
  const replica = {
    internal: { count: 3 },
    counters: { wire: { flowsSent: 0 } },
    sessions: [{ ...session, bulk: () => session.begun++, peerState: () => "connected" } as unknown as Session],
  };
  const links = [{ peer: "10.0.9.2", report: () => ({ up }) }];
  return { node: { replica, links } as unknown as Node, session };
}

describe("the bulk of a takeover", () => {
  test.each([
    ["was not heard when it should have been", 2_000, true],
    ["has a link that is down", 0, false],
  ])("does not wait for a peer that %s, and is begun all the same", (_, heardAgoMs, up) => {
    const { node, session } = nodeWith(heardAgoMs, up);
    const step = bulk(node, goneFrom(node)).next();
    expect(step.done).toBe(true);
    expect(step.value).toMatchObject({ ok: false, error: { value: { sent: 3, unreachable: ["10.0.9.2"] } } });
    expect(session.begun).toBe(1);
  });

  test("waits for one that lives", () => {
    const { node } = nodeWith(0, true);
    expect(bulk(node, goneFrom(node)).next()).toEqual({ done: false, value: { peerWaitMs: 2 } });
  });

  test("by itself waits until its peer counts as gone", () => {
    const { node } = nodeWith(2_000, false);
    expect(bulk(node).next().done).toBe(false);
  });
});
