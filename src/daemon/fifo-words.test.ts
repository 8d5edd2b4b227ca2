import { expect, test } from "bun:test";
import fc from "fast-check";
import { FifoLines, parseFifoLine } from "./fifo-words.ts";

test.each([
  ['INSTANCE "VI_1" MASTER 100', { kind: "instance", name: "VI_1", role: "master" }],
  ['GROUP "FIREWALL" BACKUP 0', { kind: "group", name: "FIREWALL", role: "backup" }],
  ['GROUP "a name" FAULT 150', { kind: "group", name: "a name", role: "fault" }],
  ['INSTANCE "VI_1" STOP', { kind: "instance", name: "VI_1", role: "stop" }],
] as const)("%s", (line, word) => expect(parseFifoLine(line)).toEqual(word));

test.each([
  'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100',
  'INSTANCE "VI_1" MASTER_PRIORITY 90',
  'INSTANCE "VI_1" constructor 90',
  "VS [192.168.201.15]:tcp:80 UP",
  "INSTANCE VI_1 MASTER 100",
  'INSTANCE "VI_1"',
  'xINSTANCE "VI_1" MASTER 100',
  "",
])("nothing to act on: %s", (line) => expect(parseFifoLine(line)).toBeUndefined());

test("lines come whole, in pieces, or many at once: the words are the same", () => {
  const words = ["MASTER", "BACKUP", "FAULT", "STOP"];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 20 }), fc.array(fc.nat(400)), (roles, cuts) => {
      const text = roles.map((role) => `GROUP "G" ${role} 100\n`).join("");
      const at = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort((a, b) => a - b);
      const lines = new FifoLines();
      const found = at.flatMap((from, i) => lines.take(text.slice(from, at[i + 1] ?? text.length)));
      expect(found.map(({ role }) => role.toUpperCase())).toEqual(roles);
      expect(lines.skipped).toBe(0);
    }),
  );
});

test("a line without an end takes no memory, and is skipped to its end", () => {
  const lines = new FifoLines();
  for (let i = 0; i < 100; i++) expect(lines.take("x".repeat(1_000))).toEqual([]);
  expect(lines.take('\nGROUP "G" MASTER 1\n')).toEqual([{ kind: "group", name: "G", role: "master" }]);
  expect(lines.skipped).toBeGreaterThan(0);
});

test("what one keepalived began another does not finish", () => {
  const lines = new FifoLines();
  lines.take('GROUP "G" MAS');
  lines.forget();
  expect(lines.take('GROUP "G" BACKUP 1\n').map(({ role }) => role)).toEqual(["backup"]);
});
