import { expect, test } from "bun:test";
import { Portion } from "./portion.ts";

test("grows while a portion is quickly done, up to the most", () => {
  const portion = new Portion(4, 32);
  const sizes = Array.from({ length: 5 }, () => {
    portion.took(portion.size, 0.1);
    return portion.size;
  });
  expect(sizes).toEqual([8, 16, 32, 32, 32]);
});

test("shrinks while it takes too long, down to the least", () => {
  const portion = new Portion(4, 32);
  for (let i = 0; i < 3; i++) portion.took(portion.size, 0.1);
  portion.took(3, 2);
  expect(portion.size).toBe(16);
  for (let i = 0; i < 5; i++) portion.took(3, 2);
  expect(portion.size).toBe(4);
});

test("stays as it is when few came, or when it took its time", () => {
  const portion = new Portion(4, 32);
  portion.took(3, 0.01);
  portion.took(4, 0.5);
  expect(portion.size).toBe(4);
});
