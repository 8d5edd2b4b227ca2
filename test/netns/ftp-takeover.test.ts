/**
 * FTP across a takeover, behind source NAT: the helper of the firewall that dies made an expectation, and the data
 * connection that it waits for is opened only when the other firewall has taken over. Every rule lets new connections to
 * the data ports pass as RELATED alone, so without the expectation nothing would pass.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { INSIDE, OUTSIDE } from "../lab/firewall.ts";
import { FTP_CONTENT } from "../lab/ftp-server.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { ConntrackdNode, CtsyncNode, type Program, type SyncNode, startNode } from "../lab/sync-node.ts";
import { A, B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 10_000;
const SERVER = resolve(import.meta.dir, "../lab/ftp-server.ts");
/** Data ports: what the server listens on (PASV), what the client listens on (PORT). */
const [SERVER_DATA_PORT, CLIENT_DATA_PORT] = [30_001, 30_101];

const PAIRS: readonly (readonly [primary: Program, backup: Program])[] = [
  ["ctsync", "ctsync"],
  ["conntrackd", "ctsync"],
  ["ctsync", "conntrackd"],
];

async function expectations(node: SyncNode, cache: "internal" | "external"): Promise<string[]> {
  let text: string;
  if (node instanceof CtsyncNode) text = await node.daemon.succeed("dump", `--${cache}`, "--expect");
  else if (node instanceof ConntrackdNode)
    text = await node.conntrackd.run(cache === "internal" ? "-i" : "-e", "expect");
  else throw new Error(`${node.program} has no expectations`);
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => line.replace(/ \[active since \d+s\]$/, "")).sort();
}

/**
 * The kernel raises no event when a helper begins to shift sequence numbers: ctsync reads the master by itself, conntrackd
 * learns it when it is told to read the table.
 */
async function shiftIsKnown(primary: SyncNode): Promise<void> {
  if (!(primary instanceof CtsyncNode)) await primary.resync();
  else {
    const { daemon } = primary;
    const internal = () => daemon.succeed("dump", "--internal", "--format", "json");
    await until(async () => (await internal()).includes('"seqadj"'), DEADLINE_MS, "the primary knows the shift");
  }
  await primary.bulk();
}

/** The virtual addresses, which keepalived would move. */
async function takeAddresses(
  { namespace }: { readonly namespace: Namespace },
  hosts: readonly Namespace[],
): Promise<void> {
  await namespace.ip(...[INSIDE, OUTSIDE].map((at) => `address add ${at.virtualIpv4}/24 dev ${at.interface}`));
  for (const host of hosts) await host.ip("neighbour flush all");
}

const session = async (a: Namespace): Promise<LabProcess> => {
  const control = a.spawn(["socat", "STDIO", `TCP:${B.ipv4}:21`]);
  await control.waitForLine(/^220 /, DEADLINE_MS);
  await say(control, "USER anonymous", /^200 noted/); // The helper believes no line that does not follow another.
  return control;
};

async function say(control: LabProcess, words: string, answer: RegExp): Promise<string> {
  control.write(`${words}\r\n`);
  return control.waitForLine(answer, DEADLINE_MS);
}

test.each(PAIRS)("%s was primary, %s takes over: FTP goes on", async (primary, backup) => {
  await using lab = await Lab.create();
  const dataPorts = "-p tcp --dport 30000:30200 -m conntrack --ctstate NEW -j DROP";
  const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
  for (const { namespace } of [fw1, fw2]) {
    await namespace.run(["iptables", ..."-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp".split(" ")]);
    await namespace.run(["iptables", "-I", "FORWARD", ...dataPorts.split(" ")]);
  }
  await takeAddresses(fw1, []);
  const server = b.spawn([process.execPath, SERVER, B.ipv4, String(SERVER_DATA_PORT)]);
  await server.waitForLine(/^ready$/, DEADLINE_MS);
  const ends = { interface: "eth2", ignoreAddresses: [INSIDE.virtualIpv4, OUTSIDE.virtualIpv4] };
  const left = await startNode(primary, fw1.namespace, { ...ends, local: fw1.syncAddress, peer: fw2.syncAddress });
  const right = await startNode(backup, fw2.namespace, { ...ends, local: fw2.syncAddress, peer: fw1.syncAddress });
  await until(
    async () => (await left.isReady()) && (await right.isReady()),
    DEADLINE_MS,
    "they have greeted each other",
  );

  const passive = await session(a);
  const entered = await say(passive, "PASV", /^227 /);
  expect(entered).toContain(`(${B.ipv4.replaceAll(".", ",")},${SERVER_DATA_PORT >> 8},${SERVER_DATA_PORT & 0xff})`);
  const active = await session(a);
  const [high, low] = [CLIENT_DATA_PORT >> 8, CLIENT_DATA_PORT & 0xff];
  const accepted = await say(active, `PORT ${A.ipv4.replaceAll(".", ",")},${high},${low}`, /^200 to /);
  expect(accepted).toContain(OUTSIDE.virtualIpv4.replaceAll(".", ",")); // Rewritten on its way, and so are sequence numbers.
  await shiftIsKnown(left);
  await until(
    async () => (await expectations(right, "external")).length === 2 && (await right.external()).length === 2,
    DEADLINE_MS,
    "the backup has both sessions and both expectations",
  );
  expect(await expectations(right, "external")).toEqual(await expectations(left, "internal"));

  await fw1.die();
  await right.takeOver();
  expect((await fw2.namespace.run(["conntrack", "-L", "expect"])).split("\n").filter(Boolean)).toHaveLength(2);
  await takeAddresses(fw2, [a, b]);

  const opened = a.spawn(["socat", "-u", `TCP:${B.ipv4}:${SERVER_DATA_PORT},connect-timeout=5`, "STDOUT"]);
  passive.write("RETR file\r\n");
  await opened.waitForLine(new RegExp(`^${FTP_CONTENT}$`), DEADLINE_MS);
  await passive.waitForLine(/^226 /, DEADLINE_MS);

  // conntrackd commits an expectation without its NAT and expectfn: the server's SYN reaches the firewall itself, which
  // refuses it. A pair of conntrackds fares no better.
  if (backup === "conntrackd") return;

  const listener = a.spawn(["socat", "-d", "-d", "-u", `TCP-LISTEN:${CLIENT_DATA_PORT}`, "STDOUT"]);
  await listener.waitForLine(/ listening on /, DEADLINE_MS);
  active.write("RETR file\r\n");
  await listener.waitForLine(new RegExp(`^${FTP_CONTENT}$`), DEADLINE_MS);
  await active.waitForLine(/^226 /, DEADLINE_MS);
  // Both are used up.
  await until(
    async () => (await expectations(right, "internal")).length === 0,
    DEADLINE_MS,
    "none is expected any more",
  );
});
