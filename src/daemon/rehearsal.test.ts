import { expect, test } from "bun:test";
import { rehearse } from "./rehearsal.ts";

test("comes to its end in many slices", () => {
  const rehearsal = rehearse();
  let slices = 0;
  let step = rehearsal.next();
  for (; !step.done; step = rehearsal.next()) slices++;
  expect(slices).toBeGreaterThan(10);
  expect(step.value.ok && step.value.value).toBeGreaterThan(10_000);
});
