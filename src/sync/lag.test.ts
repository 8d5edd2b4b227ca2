import { expect, test } from "bun:test";
import { Lag, type Outstanding } from "./lag.ts";

/** A sender of which only the counts exist. */
class Counts implements Outstanding {
  queued = 0;
  sent = 0;
  acknowledged = 0;

  get waiting(): number {
    return this.queued - this.sent;
  }
  get inFlight(): number {
    return this.sent - this.acknowledged;
  }
  get queueEnd(): number {
    return this.queued;
  }
  readonly laterEnd = 0;
  hasLeft(queueEnd: number): boolean {
    return this.sent >= queueEnd;
  }
  get oldestSeq(): number {
    return this.acknowledged >>> 0;
  }
  get nextSeq(): number {
    return this.sent >>> 0;
  }
}

test("nothing waits, so nothing lags", () => {
  const lag = new Lag();
  lag.look(new Counts(), 1_000);
  expect(lag.milliseconds(5_000)).toBe(0);
});

test("a change that is not sent lags from when it was first looked at, and one that is not acknowledged goes on lagging", () => {
  const lag = new Lag();
  const counts = new Counts();
  counts.queued = 1;
  lag.look(counts, 1_000);
  counts.sent = 1;
  lag.look(counts, 2_000);
  expect(lag.milliseconds(3_000)).toBe(2_000);
  counts.acknowledged = 1;
  lag.look(counts, 3_000);
  expect(lag.milliseconds(9_000)).toBe(0);
});

test("under steady load, acknowledged within 300 ms, the lag stays within that and grows once the peer stands still", () => {
  const lag = new Lag();
  const counts = new Counts();
  let worst = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
    counts.queued += 5;
    counts.sent = counts.queued - 3;
    counts.acknowledged = Math.max(0, counts.sent - 150);
    lag.look(counts, nowMs);
    worst = Math.max(worst, lag.milliseconds(nowMs));
  }
  expect(worst).toBeWithin(200, 400);
  for (let nowMs = 60_000; nowMs < 70_000; nowMs += 10) {
    counts.queued += 5;
    lag.look(counts, nowMs);
  }
  expect(lag.milliseconds(70_000)).toBeWithin(10_000, 10_400);
});
