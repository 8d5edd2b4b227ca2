/** Loads that go on: churn keeps its number of flows, and real packets make a flow each. */
import { expect, test } from "bun:test";
import { joinHosts } from "../bench/hosts.ts";
import { Lab } from "./lab.ts";

const GENERATOR = `${import.meta.dir}/generate.ts`;

test("churn inserts the next flow and deletes the oldest, in turn: as many stand as before, other ones", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("load");
  await namespace.trackConnections();
  const flags = ["--action", "churn", "--alive", "2000", "--seconds", "0.1", "--rate", "10000", "--snat"];
  const said = (await namespace.run([process.execPath, GENERATOR, ...flags])).trim().split("\n");
  expect(said[0]).toBe("alive");
  expect(JSON.parse(said[1] ?? "")).toMatchObject({ flows: 2500, refused: 0 });
  const ports = [...(await namespace.run(["conntrack", "-L"])).matchAll(/ sport=(\d+) dport=443 /g)].map(([, port]) =>
    Number(port),
  );
  expect(ports.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, i) => 1024 + 500 + i));
});

test("every packet that the primary forwards is a flow of its own, its source translated", async () => {
  await using lab = await Lab.create();
  const primary = await lab.namespace("primary");
  await primary.trackConnections();
  const send = await joinHosts(primary);
  await send(3000, 20_000);
  const flows = (await primary.run(["conntrack", "-L", "-p", "udp"])).trim().split("\n");
  expect(flows.filter((flow) => / src=10\.1\.0\.2 .* dst=203\.0\.113\.1 /.test(flow))).toHaveLength(3000);
});
