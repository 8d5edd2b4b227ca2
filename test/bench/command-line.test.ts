import { expect, test } from "bun:test";
import { parseCommandLine } from "./command-line.ts";

const parse = (...argv: string[]) => parseCommandLine(argv, ["M1", "M4", "S"]);

test("without arguments everything is measured in full", () => {
  const command = { kind: "measure", form: "full", only: undefined, repeatCount: undefined, outFolder: "dist/bench" };
  expect(parse()).toEqual({ ok: true, value: command as never });
});

test("each flag has its effect", () => {
  const command = { kind: "measure", form: "quick", only: ["M4", "S"], repeatCount: 7, outFolder: "/tmp/x" };
  const argv = ["--quick", "--only", "m4, S", "--repeats", "7", "--out", "/tmp/x"];
  expect(parse(...argv)).toEqual({ ok: true, value: command as never });
  expect(parse("--help")).toEqual({ ok: true, value: { kind: "help" } });
  const render = { kind: "render", file: "a.json", outFolder: undefined } as const;
  expect(parse("--from", "a.json")).toEqual({ ok: true, value: render });
});

test.each([
  [["--fast"], "--fast"],
  [["M4"], "M4"],
  [["--only", "M4,M99"], "there is no measure M99; there are M1, M4, S"],
  [["--only", ""], "there is no measure"],
  [["--only"], "--only"],
  [["--repeats", "0"], "a whole number from 1 to 100"],
  [["--repeats", "two"], "a whole number from 1 to 100"],
  [["--from", "a.json", "--quick"], "--from measures nothing"],
])("%j is refused", (argv, text) => {
  const command = parse(...argv);
  expect(command.ok ? "accepted" : command.error).toContain(text);
});
