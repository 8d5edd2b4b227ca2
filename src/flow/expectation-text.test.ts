import { expect, test } from "bun:test";
import { address, makeExpectation } from "../../test/make-expectation.ts";
import { expectationJson, expectationLine } from "./expectation-text.ts";

const objectOf = (...given: Parameters<typeof makeExpectation>) =>
  JSON.parse(expectationJson(makeExpectation(...given), 3));

test("all that is known of an expectation", () => {
  const { master } = makeExpectation(1);
  const nat = { tuple: { ...master, source: address([0xc6336464]), ports: 0xc8220000 }, direction: "reply" } as const;
  expect(objectOf(2000, { flags: 3, nat, expectfn: "nat-follow-master" })).toEqual({
    family: "ipv4",
    protocol: "tcp",
    protocolNumber: 6,
    expected: { src: "10.0.0.1", dst: "192.0.2.5", sport: 0, dport: 2000 },
    mask: { src: "255.255.255.255", dst: "255.255.255.255", sport: 0, dport: 65535 },
    master: { protocol: "tcp", protocolNumber: 6, src: "10.0.0.1", dst: "192.0.2.5", sport: 40000, dport: 21 },
    timeoutSeconds: 300,
    flags: ["PERMANENT", "INACTIVE"],
    class: 0,
    nat: { direction: "reply", src: "198.51.100.100", dst: "192.0.2.5", sport: 51234, dport: 0 },
    helper: "ftp",
    expectfn: "nat-follow-master",
    activeSinceSeconds: 3,
  });
});

test("what is not known is not said", () => {
  const { timeoutSeconds, helper, ...rest } = makeExpectation(2000);
  expect([timeoutSeconds, helper]).toEqual([300, "ftp"]);
  const object = JSON.parse(expectationJson(rest, 0));
  expect(Object.keys(object)).not.toContainAnyValues(["timeoutSeconds", "helper", "expectfn", "nat"]);
  expect(expectationLine(rest, 0)).toEndWith(" dport=21 class=0 [active since 0s]");
});
