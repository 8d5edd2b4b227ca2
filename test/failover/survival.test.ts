import { expect, test } from "bun:test";
import { OTHERS } from "./observation.ts";
import { openedLast, othersOf } from "./survival.ts";
import type { ClientKind, ConnectionReport } from "./traffic-protocol.ts";

let number = 0;
const report = (kind: ClientKind, openedMs: number, survived = true): ConnectionReport => ({
  ...{ kind, number: number++, localPort: 40_000, openedMs, survived, fate: survived ? "" : "silent" },
  ...{ longestGapMs: 0, gapEndMs: 0 },
});

test("every kind is counted, sessions too", () => {
  const reports = [
    report("ipv6", 1),
    report("ipv6", 1, false),
    report("push", 1),
    report("talk", 1),
    report("late", 1),
  ];
  const others = othersOf(reports, { ssh: true, echo: false });
  expect(Object.keys(others)).toEqual([...OTHERS]);
  expect(others.ipv6).toEqual({ connections: 2, survivors: 1 });
  expect(others.push).toEqual({ connections: 1, survivors: 1 });
  expect(others.bulk).toEqual({ connections: 0, survivors: 0 });
  expect([others.ssh.survivors, others.echo.survivors]).toEqual([1, 0]);
});

test("the last that were opened are those of the 5 ms before the last one that the dead firewall let through", () => {
  const before = [90, 95.1, 97, 100].map((openedMs) => report("late", openedMs));
  const others = [report("talk", 99), report("late", 0), report("late", 700)];
  const last = openedLast([...before, ...others], 650);
  expect(last.map(({ openedMs }) => openedMs)).toEqual([95.1, 97, 100]);
  expect(openedLast([report("talk", 99)], 650)).toEqual([]);
});
