/** What `npm test` repeats at its end is what bun itself says of tests that fail. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failuresIn } from "./failures.ts";

test("every failed test is named, with its file and its error, and no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ctsync-failures-"));
  try {
    const head = 'import { expect, test } from "bun:test";';
    const first = `${head}
test("holds", () => console.log("unasked"));
test("does not hold", () => { console.log("first words"); expect(1).toBe(2); });
test("throws", () => { throw new Error("${"long ".repeat(100)}"); });
test("holds too", () => {});`;
    const second = `${head}\ntest("never ends", async () => { await new Promise(() => {}); }, 10);`;
    await Bun.write(join(folder, "a.test.ts"), first);
    await Bun.write(join(folder, "b.test.ts"), second);
    const third = `${head}\ntest("holds", () => {});\nthrow new Error("nobody's");`;
    await Bun.write(join(folder, "c.test.ts"), third);
    await Bun.write(join(folder, "d.test.ts"), `${head}\ntest("holds", () => {});`);
    const child = Bun.spawn([process.execPath, "test", "./"], { cwd: folder, stdout: "pipe", stderr: "pipe" });
    const output = (await Promise.all([child.stdout.text(), child.stderr.text()])).join("\n");
    const failures = failuresIn(output);
    expect(failures.map((failure) => failure.split("\n")[0])).toEqual([
      ...["a.test.ts:", "a.test.ts:", "b.test.ts:"],
      "c.test.ts:",
    ]);
    const [differs, throws, hangs, stray] = failures;
    expect(differs).toContain("Expected: 2");
    expect(differs).toMatch(/\(fail\) does not hold .*$/);
    expect(throws).toMatch(/error: (long )+/);
    expect(Math.max(...(throws ?? "").split("\n").map((line) => line.length))).toBeLessThan(300);
    expect(hangs).toMatch(/\(fail\) never ends /);
    expect(hangs).toContain("timed out");
    expect(stray).toContain("nobody's");
    expect(failures.join("\n")).not.toMatch(/^\(pass\)|^unasked/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("where nothing failed nothing is repeated", () => {
  expect(failuresIn("a.test.ts:\n(pass) holds [1.00ms]\n\n 1 pass\n 0 fail\n")).toEqual([]);
});
