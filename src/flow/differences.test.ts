import { expect, test } from "bun:test";
import { makeExpectation } from "../../test/make-expectation.ts";
import { give, makeFlow } from "../../test/make-flow.ts";
import { expectationDifferences, fieldDifferences } from "./differences.ts";
import { HAS_LABELS, HAS_SEQADJ, LABELS, SEQADJ, STATUS } from "./flow.ts";

test("fields are named as the JSON form names them, and what nobody excepts is told", () => {
  const left = makeFlow({ mark: 7, timeoutSeconds: 30 });
  const right = makeFlow({ mark: 8, timeoutSeconds: 90 });
  expect(fieldDifferences(left, right, ["timeoutSeconds"])).toEqual([{ field: "mark", left: "7", right: "8" }]);
  expect(
    fieldDifferences(left, right)
      .map(({ field }) => field)
      .sort(),
  ).toEqual(["mark", "timeoutSeconds"]);
  expect(fieldDifferences(left, left)).toEqual([]);
});

test("zeros that one side names are no difference, others are", () => {
  const plain = makeFlow();
  expect(fieldDifferences(give(makeFlow(), HAS_SEQADJ, SEQADJ, 0, 0, 0), plain)).toEqual([]);
  expect(fieldDifferences(give(makeFlow(), HAS_LABELS, LABELS, 2), plain)).toEqual([
    { field: "labels", left: "[1]", right: "none" },
  ]);
});

test("a difference that no field shows is told by its word", () => {
  const odd = makeFlow();
  odd.words[STATUS] = 0x100_0000;
  const even = makeFlow();
  even.words[STATUS] = 0;
  expect(fieldDifferences(odd, even)).toEqual([{ field: "word 20", left: "0x1000000", right: "0x0" }]);
});

test("expectations are told apart by their fields, but for the time that is left", () => {
  const left = makeExpectation(1, { class: 2, helper: "sip" });
  const right = makeExpectation(1, { timeoutSeconds: 9 });
  expect(expectationDifferences(left, right)).toEqual([
    { field: "class", left: "2", right: "none" },
    { field: "helper", left: "sip", right: "ftp" },
  ]);
  expect(expectationDifferences(right, makeExpectation(1))).toEqual([]);
});
