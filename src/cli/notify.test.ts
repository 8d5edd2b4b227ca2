import { expect, test } from "bun:test";
import { parseNotify } from "./notify.ts";

test.each([
  ["INSTANCE VI_1 MASTER 100", { role: "master", instance: "VI_1", priority: 100 }],
  ["GROUP G1 BACKUP 0", { role: "backup", instance: "G1", priority: 0 }],
  ["INSTANCE VI_1 FAULT 100 extra words", { role: "fault", instance: "VI_1", priority: 100 }],
  ["instance master stop", { role: "stop", instance: "master" }],
  ["INSTANCE VI_1 MASTER unknown", { role: "master", instance: "VI_1" }],
  ["master", { role: "master" }],
  ["BACKUP", { role: "backup" }],
  ["Fault", { role: "fault" }],
  ["stop", { role: "stop" }],
] as const)("%s", (words, order) => {
  expect(parseNotify(words.split(" "))).toEqual({ ok: true, value: order });
});

test("a name may hold blanks, as keepalived quotes it", () => {
  expect(parseNotify(["GROUP", "to the lan", "MASTER", "150"])).toMatchObject({ value: { instance: "to the lan" } });
});

test.each(["", "INSTANCE", "INSTANCE VI_1", "INSTANCE VI_1 MATSER 100", "VI_1 MASTER 100", "master 100", "primary"])(
  "%p is refused",
  (words) => {
    expect(parseNotify(words === "" ? [] : words.split(" ")).ok).toBeFalse();
  },
);
