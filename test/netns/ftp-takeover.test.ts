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
import { ConntrackdNode, CtsyncNode, type Program, type SyncLink, type SyncNode, startNode } from "../lab/sync-node.ts";
import { A, B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 10_000;
const SERVER = resolve(import.meta.dir, "../lab/ftp-server.ts");
/** Data ports: what the server listens on (PASV), what the client listens on (PORT), and did before. */
const [SERVER_DATA_PORT, CLIENT_DATA_PORT, USED_DATA_PORT] = [30_001, 30_101, 30_102];

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

/** PORT, behind NAT; what it says is rewritten on its way, and so are sequence numbers. */
async function awaits(control: LabProcess, port: number): Promise<void> {
  const accepted = await say(control, `PORT ${A.ipv4.replaceAll(".", ",")},${port >> 8},${port & 0xff}`, /^200 to /);
  expect(accepted).toContain(OUTSIDE.virtualIpv4.replaceAll(".", ","));
}

/** The server opens the data connection, through whichever firewall has the addresses. */
async function brings(a: Namespace, control: LabProcess, port: number): Promise<void> {
  const listener = a.spawn(["socat", "-d", "-d", "-u", `TCP-LISTEN:${port}`, "STDOUT"]);
  await listener.waitForLine(/ listening on /, DEADLINE_MS);
  control.write("RETR file\r\n");
  await listener.waitForLine(new RegExp(`^${FTP_CONTENT}$`), DEADLINE_MS);
  await control.waitForLine(/^226 /, DEADLINE_MS);
}

async function fetches(a: Namespace, control: LabProcess): Promise<void> {
  const opened = a.spawn(["socat", "-u", `TCP:${B.ipv4}:${SERVER_DATA_PORT},connect-timeout=5`, "STDOUT"]);
  control.write("RETR file\r\n");
  await opened.waitForLine(new RegExp(`^${FTP_CONTENT}$`), DEADLINE_MS);
  await control.waitForLine(/^226 /, DEADLINE_MS);
}

async function passiveSession(a: Namespace): Promise<LabProcess> {
  const passive = await session(a);
  const entered = await say(passive, "PASV", /^227 /);
  expect(entered).toContain(`(${B.ipv4.replaceAll(".", ",")},${SERVER_DATA_PORT >> 8},${SERVER_DATA_PORT & 0xff})`);
  return passive;
}

/** What the kernel expects, but for the time that is left. */
async function expectedBy({ namespace }: { readonly namespace: Namespace }): Promise<string[]> {
  const lines = (await namespace.run(["conntrack", "-L", "expect"])).split("\n").filter(Boolean);
  return lines.map((line) => line.replace(/^\d+ /, "")).sort();
}

/** Both firewalls and the server run, `primary` has the addresses, and the two have greeted each other. */
async function stage(lab: Lab, primary: Program, backup: Program, sync: NonNullable<SyncLink["sync"]> = {}) {
  const dataPorts = "-p tcp --dport 30000:30200 -m conntrack --ctstate NEW -j DROP";
  const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
  for (const { namespace } of [fw1, fw2]) {
    await namespace.run(["iptables", ..."-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp".split(" ")]);
    await namespace.run(["iptables", "-I", "FORWARD", ...dataPorts.split(" ")]);
  }
  await takeAddresses(fw1, []);
  const server = b.spawn([process.execPath, SERVER, B.ipv4, String(SERVER_DATA_PORT)]);
  await server.waitForLine(/^ready$/, DEADLINE_MS);
  const ends = { interface: "eth2", ignoreAddresses: [INSIDE.virtualIpv4, OUTSIDE.virtualIpv4], sync };
  const left = await startNode(primary, fw1.namespace, { ...ends, local: fw1.syncAddress, peer: fw2.syncAddress });
  const right = await startNode(backup, fw2.namespace, { ...ends, local: fw2.syncAddress, peer: fw1.syncAddress });
  await until(
    async () => (await left.isReady()) && (await right.isReady()),
    DEADLINE_MS,
    "they have greeted each other",
  );
  return { a, b, fw1, fw2, left, right };
}

test.each(PAIRS)("%s was primary, %s takes over: FTP goes on", async (primary, backup) => {
  await using lab = await Lab.create();
  const { a, b, fw1, fw2, left, right } = await stage(lab, primary, backup);
  const passive = await passiveSession(a);
  const active = await session(a);
  await awaits(active, CLIENT_DATA_PORT);
  await shiftIsKnown(left);
  await until(
    async () => (await expectations(right, "external")).length === 2 && (await right.external()).length === 2,
    DEADLINE_MS,
    "the backup has both sessions and both expectations",
  );
  expect(await expectations(right, "external")).toEqual(await expectations(left, "internal"));

  await fw1.die();
  await right.takeOver();
  expect(await expectedBy(fw2)).toHaveLength(2);
  await takeAddresses(fw2, [a, b]);
  await fetches(a, passive);

  // conntrackd commits an expectation without its NAT and expectfn: the server's SYN reaches the firewall itself, which
  // refuses it. A pair of conntrackds fares no better.
  if (backup === "conntrackd") return;

  await brings(a, active, CLIENT_DATA_PORT);
  // Both are used up.
  await until(
    async () => (await expectations(right, "internal")).length === 0,
    DEADLINE_MS,
    "none is expected any more",
  );
});

test.each(["ctsync", "conntrackd"] as const)(
  "%s was primary, a ctsync whose kernel followed it has the addresses, and nobody has told it: FTP goes on",
  async (primary) => {
    await using lab = await Lab.create();
    const { a, b, fw1, fw2, left, right } = await stage(lab, primary, "ctsync", { apply: "live" });
    if (!(right instanceof CtsyncNode)) throw new Error("the backup is no ctsync");
    const { daemon } = right;
    const follows = (count: number, what: string) =>
      until(
        async () => {
          const { waiting, withdrawing } = (await daemon.status()).apply;
          const [wanted, has] = [await expectedBy(fw1), await expectedBy(fw2)];
          return waiting + withdrawing === 0 && has.length === count && Bun.deepEquals(has, wanted);
        },
        DEADLINE_MS,
        what,
      );

    const used = await session(a);
    await awaits(used, USED_DATA_PORT);
    await shiftIsKnown(left);
    await follows(1, "the backup's kernel expects the first one");
    await brings(a, used, USED_DATA_PORT);
    await follows(0, "it was used up at the primary, and the backup's kernel expects none");
    expect(await fw2.namespace.run(["conntrack", "-L"])).toContain(`dport=${USED_DATA_PORT} `);

    const passive = await passiveSession(a);
    const active = await session(a);
    await awaits(active, CLIENT_DATA_PORT);
    await shiftIsKnown(left);
    await follows(2, "the backup's kernel expects both");
    const shifted = async () => (await daemon.succeed("dump", "--external", "--format", "json")).match(/"seqadj"/g);
    await until(async () => (await shifted())?.length === 2, DEADLINE_MS, "the backup knows both shifts");
    await follows(2, "and so does its kernel");
    expect(await expectations(right, "internal")).toEqual([]);
    const before = (await daemon.status()).counters;
    expect(before).toMatchObject({
      wire: { flowsSent: 0, expectationsSent: 0 },
      apply: { expectationsLost: 0, expectationsRefused: 0 },
    });

    await fw1.die();
    await takeAddresses(fw2, [a, b]);
    await brings(a, active, CLIENT_DATA_PORT);
    expect((await daemon.status()).role).toBe("unknown");
    await right.takeOver();
    expect(await expectedBy(fw2)).toEqual([expect.stringContaining(`dport=${SERVER_DATA_PORT} `)]);
    expect(await expectations(right, "internal")).toHaveLength(1);
    expect((await daemon.status()).counters).toMatchObject({
      kernel: { expectationsCommitted: 0 },
      apply: { expectationsApplied: before.apply!.expectationsApplied! },
    });
    await fetches(a, passive);
    await until(
      async () => (await expectations(right, "internal")).length + (await expectedBy(fw2)).length === 0,
      DEADLINE_MS,
      "none is expected any more",
    );
  },
);
