/** The machine's own addresses and links, in a namespace of known ones. */
import { expect, test } from "bun:test";
import { AddressWatch, linkState, type OwnAddress, ownAddresses } from "../../src/kernel/addresses.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { unwrap } from "./kernel-table.ts";

const text = ({ family, words }: OwnAddress): string => `${family}:${words.map((word) => word.toString(16)).join(".")}`;

test("every address of every interface is listed, of a point-to-point link our own end", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("addr");
  await namespace.ip(
    "link add one type veth peer name two",
    "link set dev one up",
    "address add 10.1.2.3/24 dev one",
    "address add 10.1.2.4/24 dev one",
    "address add 10.9.9.1 peer 10.9.9.2 dev two",
    "address add 2001:db8::5/64 dev two nodad",
  );
  const addresses = inside(namespace, () => unwrap(ownAddresses())).map(text);
  for (const wanted of ["4:7f000001.0.0.0", "4:a010203.0.0.0", "4:a010204.0.0.0", "4:a090901.0.0.0"])
    expect(addresses).toContain(wanted);
  expect(addresses).toContain("6:0.0.0.1");
  expect(addresses).toContain("6:20010db8.0.0.5");
  expect(addresses).not.toContain("4:a090902.0.0.0");
});

test("the watch tells of an address, and of a link that comes and goes", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("watch");
  const watch = inside(namespace, () => unwrap(AddressWatch.open()));
  expect(watch.changed()).toBe(false);
  expect(inside(namespace, () => linkState("late"))).toBeUndefined();
  await namespace.ip("link add late type veth peer name other", "link set dev late mtu 1400");
  await until(() => watch.changed(), 2000, "news of a new link");
  expect(inside(namespace, () => linkState("late"))).toMatchObject({ running: false, mtuBytes: 1400 });
  await namespace.ip("link set dev late up", "link set dev other up");
  await until(() => inside(namespace, () => linkState("late"))?.running, 2000, "carrier");
  watch.changed();
  await namespace.ip("address add 10.0.0.1/24 dev late");
  await until(() => watch.changed(), 2000, "news of a new address");
  watch.close();
});
