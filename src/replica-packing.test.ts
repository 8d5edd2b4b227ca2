import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { give, HOST, HOST6, keyOf, makeFlow } from "../test/make-flow.ts";
import { Datagrams, messagesOf } from "../test/outbound.ts";
import { pair } from "../test/replica-node.ts";
import { HAS_LABELS, HAS_SEQADJ, LABELS, SEQADJ } from "./flow/flow.ts";
import { EVENT_NEW } from "./replica.ts";

describe("packing", () => {
  const flow = fc
    .record({
      ports: fc.nat({ max: 99 }),
      wide: fc.boolean(),
      rich: fc.boolean(),
      mark: fc.option(fc.nat(), { nil: undefined }),
    })
    .map(({ ports, wide, rich, mark }) => {
      const made = makeFlow({ source: wide ? HOST6 : HOST, ports, ...(mark === undefined ? {} : { mark }) });
      return rich ? give(give(made, HAS_LABELS, LABELS, 1), HAS_SEQADJ, SEQADJ, 1, 2, 3) : made;
    });
  const flows = fc.uniqueArray(flow, { maxLength: 40, selector: keyOf });

  test("a datagram is filled as far as the link allows and never further; no message is split, none lost", () => {
    const payloadMax = fc.integer({ min: 304, max: 1_471 });
    fc.assert(
      fc.property(flows, payloadMax, fc.integer({ min: 2, max: 6 }), (some, payloadMaxBytes, room) => {
        const [a, b] = pair(64);
        for (const flow of some) a.event(EVENT_NEW, flow);
        const datagrams = a.says(0, new Datagrams(payloadMaxBytes, room));
        const lengths = datagrams.map((datagram) => messagesOf(datagram).map(({ length }) => length));
        for (const datagram of datagrams) expect(datagram.length).toBeLessThanOrEqual(payloadMaxBytes);
        // The last datagram of a round takes only what fits whatever its length: 304 bytes.
        for (const [i, datagram] of datagrams.slice(0, -1).entries()) {
          const isLast = (i + 1) % room === 0;
          expect(datagram.length + (isLast ? 304 : lengths[i + 1][0])).toBeGreaterThan(payloadMaxBytes);
        }
        b.hears(...datagrams);
        expect(b.externalKeys()).toEqual(some.map(keyOf).toSorted());
      }),
      { numRuns: 150 },
    );
  });

  test("a message that just fits goes in, one that is a byte too long opens the next datagram", () => {
    const lengths = (payloadMaxBytes: number): number[] => {
      const [a] = pair(64);
      for (let port = 1; port <= 12; port++) a.event(EVENT_NEW, makeFlow({ ports: port }));
      return a.says(0, new Datagrams(payloadMaxBytes)).map((datagram) => datagram.length);
    };
    const one = lengths(1_471)[0] / 12;
    expect(lengths(one * 6)).toEqual([one * 6, one * 6]);
    expect(lengths(one * 6 - 1)).toEqual([one * 5, one * 5, one * 2]);
    expect(lengths(one * 6 + 1)).toEqual([one * 6, one * 6]);
  });

  test("the same flows make the same bytes, message by message, however the datagrams are cut", () => {
    const said = [304, 600, 1_471].map((payloadMaxBytes) => {
      const [a] = pair(64);
      for (let port = 1; port <= 30; port++)
        a.event(EVENT_NEW, makeFlow({ source: port % 3 === 0 ? HOST6 : HOST, ports: port }));
      return a
        .says(0, new Datagrams(payloadMaxBytes, 4))
        .map((datagram) => datagram.toHex())
        .join("");
    });
    expect(said[1]).toBe(said[0]);
    expect(said[2]).toBe(said[0]);
  });
});
