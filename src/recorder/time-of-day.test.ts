import { expect, test } from "bun:test";
import fc from "fast-check";
import { timeOfDay } from "./time-of-day.ts";

test("is what the calendar says", () => {
  const years = { min: new Date("0040-01-01T00:00:00Z"), max: new Date("3900-12-31T23:59:59Z"), noInvalidDate: true };
  fc.assert(
    fc.property(fc.date(years), (date) => {
      expect(timeOfDay(date.getTime())).toBe(date.toISOString().replace("T", " ").replace("Z", " UTC"));
    }),
  );
  expect(timeOfDay(Date.UTC(2024, 1, 29))).toBe("2024-02-29 00:00:00.000 UTC");
});

test("of a record with a number that is no time is no reason to fail", () => {
  for (const wallMs of [Number.NaN, Number.POSITIVE_INFINITY, 1e300])
    expect(timeOfDay(wallMs)).toBe("at no time there is");
});
