import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { checkPure, fillLibraries } from "../build.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/ctsync-build-`);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test("the core is pure", async () => {
  expect(await checkPure(`${import.meta.dirname}/../src/replica.ts`)).toBeUndefined();
});

test.each(["bun:ffi", "bun", "node:fs", "fs", "node:crypto"])("a core that reaches %s is refused", async (module) => {
  writeFileSync(`${directory}/entry.ts`, `import { x } from "./deep.ts"; console.log(x);`);
  writeFileSync(`${directory}/deep.ts`, `import * as world from "${module}"; export const x = world;`);
  const complaint = await checkPure(`${directory}/entry.ts`);
  expect(complaint).toStartWith("the core must stay pure");
  expect(complaint).toEndWith(`deep.ts imports ${module}`);
});

test("a core that does not build is told with its place", async () => {
  writeFileSync(`${directory}/entry.ts`, `\nimport "./absent.ts";`);
  expect(await checkPure(`${directory}/entry.ts`)).toMatch(/entry\.ts:2: .*absent\.ts/);
});

test("libraries that are there already are left alone", () => {
  const modifiedMs = () => statSync(`${import.meta.dirname}/../ffi/lib/libmnl.so.0`).mtimeMs;
  expect(fillLibraries()).toBeUndefined();
  const before = modifiedMs();
  expect(fillLibraries()).toBeUndefined();
  expect(modifiedMs()).toBe(before);
});
