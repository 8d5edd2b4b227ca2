import { expect, test } from "bun:test";
import { parseToml } from "./toml.ts";

test("good TOML becomes its values", () => {
  expect(parseToml("[a]\nb = [1, 2]\n")).toEqual({ ok: true, value: { a: { b: [1, 2] } } });
});

test.each([
  ["a value without quotes", "[sync]\n\n\n  mode = ftfw\n[log]\n", 4, 10],
  ["an unfinished string", '[sync]\nmode = "ftfw\nflows_max = 7\n', 2, 8],
  ["an unfinished header", "[sync]\na = 1\n[log\nb = 1", 3, 2],
  ["a key twice", "[sync]\na = 1\na = 2\n[log]\n", 3, 5],
  ["two keys in a line", "a = 1 b = 2", 1, 7],
  ["a list without a comma", "x = [1,\n  2,\n  3 4]\nz = 3\n", 3, 5],
  ["no value", "a = 1\nb =\n", 2, 3],
  ["no end of a list", "a = 1\nx = [1,\n2,\n", 2, 5],
])("%s is found at its line and column", (_, text, line, column) => {
  const parsed = parseToml(text);
  if (parsed.ok) throw new Error("accepted");
  expect([parsed.error.line, parsed.error.column]).toEqual([line, column]);
  expect(parsed.error.text).not.toBe("");
});

test("the last line of a long file is found too", () => {
  const parsed = parseToml(`${Array.from({ length: 3000 }, (_, i) => `key${i} = ${i}`).join("\n")}\n?`);
  expect(parsed).toMatchObject({ ok: false, error: { line: 3001, column: 1 } });
});
