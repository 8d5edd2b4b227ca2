/** A planned handover between two sealed firewalls, on real keepalived: nothing dies of it, nothing is even INVALID. */
import { describe, expect, test } from "bun:test";
import type { Failover } from "../../src/recorder/timeline.ts";
import { CTSYNC, type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { succeed } from "../lab/execute.ts";
import { type Firewall, SYNC } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/process.ts";
import { SshServer } from "../lab/ssh.ts";
import { B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";

const TEST_MS = 90_000;
const DEADLINE_MS = 15_000;
const CONNECTIONS = 200;

async function startNode({ namespace, syncAddress, peerSyncAddress }: Firewall, key: string): Promise<Daemon> {
  const link = { interface: SYNC.interface, local: syncAddress, peer: peerSyncAddress };
  const config = await writeConfig(namespace.lab, namespace.name, { ...link, link: { key_file: key } });
  return startDaemon(namespace, config);
}

const keepalived = (firewall: Firewall, { config }: Daemon, mayMove = true): Promise<LabProcess> =>
  firewall.startKeepalived({
    notify: `${CTSYNC} notify --config ${config}`,
    nopreempt: true,
    ...(mayMove ? { asideScript: `${CTSYNC} ready --aside --quiet --config ${config}` } : {}),
  });

const becomes = (daemon: Daemon, role: string): Promise<boolean> =>
  until(
    async () => (await daemon.status()).lastRoleChange?.role === role,
    DEADLINE_MS,
    `${daemon.namespace.name} is ${role}`,
  );

const SERVER = `Bun.listen({ hostname: "0.0.0.0", port: 7100, socket: { data: (socket, data) => void socket.write(data) } });
console.log("listening");`;
/** Each connection asks again when it is answered; one line a tenth of a second tells how they are. */
const CLIENT = `let open = 0, ended = 0, answers = 0;
const socket = {
  open: (s) => { open++; s.write("x"); },
  data: (s) => { answers++; setTimeout(() => s.write("x"), 20); },
  close: () => { ended++; },
  error: () => { ended++; },
};
for (let i = 0; i < ${CONNECTIONS}; i++) await Bun.connect({ hostname: "${B.ipv4}", port: 7100, socket });
setInterval(() => console.log(JSON.stringify({ open, ended, answers })), 100);`;

interface Connections {
  readonly open: number;
  readonly ended: number;
  readonly answers: number;
}
const last = (client: LabProcess): Connections =>
  JSON.parse(client.lines.at(-1)?.text ?? '{"open":0,"ended":0,"answers":0}') as Connections;

/** Resets that this machine's kernel sent. */
async function resets({ namespace }: Firewall): Promise<number> {
  const text = await namespace.run(["cat", "/proc/net/snmp"]);
  const [names, numbers] = text.split("\n").filter((line) => line.startsWith("Tcp: "));
  return Number(numbers?.split(" ")[names?.split(" ").indexOf("OutRsts") ?? 0]);
}

describe("a planned handover", () => {
  test(
    "keeps 200 busy connections and a session alive: none ends, no reset, no packet INVALID; a death undoes it",
    async () => {
      await using lab = await Lab.create();
      const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
      const key = `${lab.directory}/link.key`;
      await succeed([CTSYNC, "keygen", key]);
      const primary = await startNode(fw1, key);
      await keepalived(fw1, primary);
      await becomes(primary, "master");
      const backup = await startNode(fw2, key);
      await keepalived(fw2, backup);
      await becomes(backup, "backup");

      const server = b.spawn([process.execPath, await lab.write("server.ts", SERVER)]);
      await server.waitForLine(/^listening$/, DEADLINE_MS);
      const client = a.spawn([process.execPath, await lab.write("client.ts", CLIENT)]);
      const ssh = await SshServer.start(b);
      const session = await ssh.open(a, B.ipv4, 20);
      await until(() => last(client).open === CONNECTIONS, DEADLINE_MS, "the connections are open");
      await until(async () => (await backup.status()).external > CONNECTIONS, DEADLINE_MS, "the backup has them");
      await until(async () => (await backup.command("ready")).status === 0, DEADLINE_MS, "the backup is ready");
      const refused = await backup.command("handover");
      expect(refused).toMatchObject({ status: 1, stdout: "" });
      expect(refused.stderr).toContain("this node is backup, not primary: run it on the other firewall");

      const said = await primary.succeed("handover", "--timeout", "20", "--hold", "60");
      expect(said).toMatch(/is proven to hold all \d+ flows/);
      expect(said).toMatch(/has committed \d+ flows ahead/);
      expect(said).toContain("is primary, this node is fault");
      expect([await fw1.isPrimary(), await fw2.isPrimary()]).toEqual([false, true]);
      await session.nextAnswer(DEADLINE_MS);
      const { answers } = last(client);
      await until(() => last(client).answers > answers + 2 * CONNECTIONS, DEADLINE_MS, "the connections go on");
      expect(last(client)).toMatchObject({ open: CONNECTIONS, ended: 0 });
      expect(session.answersAreComplete).toBe(true);
      expect([await fw1.invalidCount(), await fw2.invalidCount()]).toEqual([0, 0]);
      expect([await resets(fw1), await resets(fw2)]).toEqual([0, 0]);
      expect(await primary.command("ready")).toMatchObject({ status: 1 });

      const told = async () => JSON.parse((await backup.succeed("timeline", "--json")) || "null") as Failover | null;
      await until(async () => (await told())?.summary.doneMs, DEADLINE_MS, "the takeover is recorded");
      expect((await told())?.summary).toMatchObject({ refused: 0, ok: true });
      expect((await told())?.moments.some(({ kind }) => kind === "handover")).toBe(true);

      // Within --hold the new primary dies: the old one is wanted, and comes.
      await fw2.die();
      await fw1.becomesPrimary();
      await becomes(primary, "master");
      expect(await primary.command("ready", "--aside")).toMatchObject({ status: 0 });
      await session.nextAnswer(DEADLINE_MS);
      expect(session.answersAreComplete).toBe(true);
      await session.close();
    },
    TEST_MS,
  );

  test(
    "that keepalived does not follow is taken back, and says so; without a sealed peer it drains, and says so",
    async () => {
      await using lab = await Lab.create();
      const { fw1, fw2 } = await buildTwoFirewalls(lab);
      const primary = await startNode(fw1, "");
      await keepalived(fw1, primary, false);
      await becomes(primary, "master");
      const alone = await primary.command("handover", "--timeout", "1");
      expect(alone.status).toBe(1);
      expect(alone.stderr).toContain("is not connected, so nobody can take over");

      const backup = await startNode(fw2, "");
      await until(async () => (await primary.status()).peer.state === "connected", DEADLINE_MS, "they are connected");
      await until(async () => (await backup.status()).ready, DEADLINE_MS, "the backup is ready");
      const { status, stdout, stderr } = await primary.command("handover", "--timeout", "1");
      expect(status).toBe(1);
      expect(stdout).toContain("no proof, and it commits only when it takes over");
      expect(stderr).toContain("keepalived did not move within 1 s, and this node is primary as before");
      expect(await primary.command("ready")).toMatchObject({ status: 0 });
      expect(await fw1.isPrimary()).toBe(true);
    },
    TEST_MS,
  );
});
