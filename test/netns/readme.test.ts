/**
 * The README's set-up of a pair, followed to the letter: its files where it says, its commands in its order, on two
 * firewalls whose cables and own addresses are the README's. Only systemd is not there: what it would do is done instead.
 */
import { expect, test } from "bun:test";
import type { StatusReport } from "../../src/report.ts";
import { CTSYNC } from "../lab/ctsync.ts";
import type { Firewall } from "../lab/firewall.ts";
import { Lab } from "../lab/lab.ts";
import { openLines, startAnswering } from "../lab/line-session.ts";
import { B, buildTwoFirewalls } from "../lab/two-firewalls.ts";
import { until } from "../lab/until.ts";
import { blockOf, type FirewallName, linesOf, stepsFor } from "./readme-blocks.ts";
import { Machine } from "./readme-machine.ts";
import { startUnit, UNIT_PATH } from "./readme-unit.ts";

const DEADLINE_MS = 15_000;
const TEST_MS = 90_000;
const KEY_FILE = "/etc/ctsync/link.key";

/** What stands for systemd and for modules; every other line of the README runs as it is. */
const INSTEAD: Readonly<Record<string, (machine: Machine) => Promise<unknown>>> = {
  // FW2 is given the file when it comes (`copyFiles`); what is copied must be there.
  [`scp ${KEY_FILE} root@fw2:${KEY_FILE}`]: (machine) => machine.run(`test -s ${KEY_FILE}`),
  "modprobe nf_conntrack": async () => {}, // The lab's kernel has it.
  "systemctl enable nftables": async () => {},
  "systemctl enable keepalived": async () => {},
  "systemctl daemon-reload": (machine) => machine.run(`cat ${UNIT_PATH}`),
  "systemctl enable --now ctsync": (machine: Machine) => startUnit(machine),
  "systemctl restart keepalived": async (machine) => {
    const keepalived = machine.spawn(["keepalived", "--dont-fork", "--log-console", "--no-syslog"]);
    await keepalived.waitForLine(/\(OUTSIDE\) Entering BACKUP STATE/, DEADLINE_MS);
  },
};

/** What `scp` of the README left in root's home, and, where the other firewall made it, the key where it says. */
async function copyFiles(machine: Machine, key?: string): Promise<void> {
  await machine.run(`cp ${CTSYNC} ${import.meta.dir}/../../packaging/ctsync.service ${machine.home}`);
  if (key !== undefined) {
    await machine.write(KEY_FILE, key);
    await machine.run(`chmod 600 ${KEY_FILE}`);
  }
}

/** With a key, this firewall has it already: it came from the other one, or was here before the power failed. */
async function followReadme(firewall: Firewall, name: FirewallName, key?: string): Promise<Machine> {
  const machine = await Machine.start(firewall.namespace);
  await copyFiles(machine, key);
  for (const step of stepsFor(name)) {
    if (key !== undefined && step.kind === "command" && step.line.startsWith("ctsync keygen")) continue;
    if (step.kind === "file") await machine.write(step.path, step.text);
    else await (INSTEAD[step.line]?.(machine) ?? machine.run(step.line));
  }
  return machine;
}

const statusOf = async (machine: Machine): Promise<StatusReport> =>
  JSON.parse(await machine.run("ctsync status --json")) as StatusReport;

const connected = (machine: Machine): Promise<boolean> =>
  until(
    async () => {
      const { ready, peer } = await statusOf(machine);
      return ready && peer.state === "connected";
    },
    DEADLINE_MS,
    `${machine.namespace.name} is connected and ready`,
  );

/** keepalived has called `ctsync notify` with this role, and the work is done. */
const told = (machine: Machine, role: string): Promise<StatusReport> =>
  until(
    async () => {
      const status = await statusOf(machine);
      return status.lastRoleChange?.role === role ? status : undefined;
    },
    DEADLINE_MS,
    `keepalived tells ctsync on ${machine.namespace.name} that it is ${role}`,
  );

/** Flows of the answering service, one IPv4 and one IPv6, are in the cache. */
const hasBoth = (machine: Machine, cache: "internal" | "external"): Promise<boolean> =>
  until(
    async () => {
      const lines = linesOf(await machine.run(`ctsync dump --${cache}`));
      const has = (address: string) =>
        lines.some((line) => line.includes(` dst=${address} `) && / dport=7 /.test(line));
      return has(B.ipv4) && has(B.ipv6);
    },
    DEADLINE_MS,
    `the sessions are in the ${cache} cache of ${machine.namespace.name}`,
  );

const countersOf = ({ counters }: StatusReport): string[] =>
  Object.entries(counters)
    .flatMap(([subject, counts]) => Object.keys(counts).map((name) => `${subject} ${name}`))
    .sort();

/** Subject and name of each counter that docs/architecture.md has a row for. */
async function explainedCounters(): Promise<string[]> {
  const text = await Bun.file(`${import.meta.dir}/../../docs/architecture.md`).text();
  const rows = text.matchAll(/^\| ([a-z]+) \| `(\w+)` \| \S/gm);
  return Array.from(rows, ([, subject, name]) => `${subject} ${name}`).sort();
}

test(
  "the set-up of a pair: flows replicate, survive a takeover, and come back to the firewall that returns",
  async () => {
    await using lab = await Lab.create();
    const { a, b, fw1, fw2 } = await buildTwoFirewalls(lab);
    const first = await followReadme(fw1, "fw1");
    await fw1.becomesPrimary(DEADLINE_MS);
    const key = await first.run(`cat ${KEY_FILE}`);
    expect(await first.run(`stat -c '%a %U' ${KEY_FILE}`)).toBe("600 root\n");
    const second = await followReadme(fw2, "fw2", key);
    await connected(first);
    await connected(second);
    const primary = await told(first, "master");
    expect(primary.link.seal).toMatchObject({ ready: true, key: primary.link.seal?.peerKey });
    expect(key).toContain(` ${primary.link.seal?.key} `);
    expect(primary.lastRoleChange).toMatchObject({ ok: true });
    expect(await explainedCounters()).toEqual(countersOf(primary));
    expect((await told(second, "backup")).lastRoleChange).toMatchObject({ ok: true });

    await startAnswering(b, "TCP4-LISTEN:7");
    await startAnswering(b, "TCP6-LISTEN:7,ipv6only=1");
    const sessions = [await openLines(a, `TCP4:${B.ipv4}:7`), await openLines(a, `TCP6:[${B.ipv6}]:7`)];
    const goOn = async (): Promise<void> => {
      for (const session of sessions) await session.nextAnswer(DEADLINE_MS);
    };
    await hasBoth(first, "internal");
    await hasBoth(second, "external");
    const follows = async () => {
      const standing = await fw2.namespace.run(["conntrack", "-L", "-f", "ipv4", "-p", "tcp"]);
      return linesOf(standing).some((line) => line.includes(` dst=${B.ipv4} `) && / dport=7 /.test(line));
    };
    await until(follows, DEADLINE_MS, "the backup's kernel has the IPv4 session too");

    const deathMs = performance.now();
    await fw1.die();
    await fw2.becomesPrimary(DEADLINE_MS);
    const takeover = await told(second, "master");
    expect(takeover.lastRoleChange).toMatchObject({ ok: true });
    await goOn();
    const gaps = sessions.map((session) => session.longestGapMs(deathMs).toFixed(0));
    console.log(`after the death of their firewall the sessions were silent for ${gaps.join(" and ")} ms`);
    await hasBoth(second, "internal");

    await fw1.boot();
    const returned = await followReadme(fw1, "fw1", key);
    await connected(returned);
    await hasBoth(returned, "external");
    expect(await fw2.isPrimary()).toBeTrue(); // nopreempt

    await fw2.die();
    await fw1.becomesPrimary(DEADLINE_MS);
    expect((await told(returned, "master")).lastRoleChange).toMatchObject({ ok: true });
    await goOn();
    for (const session of sessions) {
      expect(session.answersAreComplete).toBeTrue();
      await session.close();
    }
  },
  TEST_MS,
);

test("the README's rules for iptables are accepted, for IPv6 too where they are the filter's", async () => {
  await using lab = await Lab.create();
  const firewall = await lab.namespace("fw");
  const rules = linesOf(blockOf("iptables"));
  expect(rules.length).toBeGreaterThan(3);
  for (const rule of rules) await firewall.run(rule.split(" "));
  for (const rule of rules) await firewall.run(rule.replace("iptables", "ip6tables").split(" "));
});

test("systemd finds no fault with the unit", async () => {
  await using lab = await Lab.create();
  const machine = await Machine.start(await lab.namespace("fw"));
  await copyFiles(machine);
  for (const step of stepsFor("fw1").slice(0, 4)) {
    if (step.kind === "file") await machine.write(step.path, step.text);
    else await machine.run(step.line);
  }
  const { status, stdout, stderr } = await machine.exec(["systemd-analyze", "verify", UNIT_PATH]);
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
});
