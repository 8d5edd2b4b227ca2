/**
 * The takeover gate between an inside and an outside host: packets of connections whose flows the firewall does not have
 * yet are answered by nobody, whatever the rules beside it say, and pass again once the gate is open.
 *
 * The firewall's own rules let everything pass, so that without the gate the kernel answers: with a reset, or with ICMP.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { type Daemon, startDaemon, writeConfig } from "../lab/ctsync.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import { counted, packetsAstray } from "./astray.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 15_000;
const VIRTUAL = "203.0.113.1";
const OUTSIDE = "203.0.113.50";
const LONG = 300;

const USERS_RULES = `table inet firewall {
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
	}
}
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.168.10.0/24 snat to ${VIRTUAL}
	}
}
`;

interface Stage {
  readonly inside: Namespace;
  readonly firewall: Namespace;
  readonly outside: Namespace;
  readonly config: string;
}

async function build(lab: Lab, gate: Readonly<Record<string, string | number>>): Promise<Stage> {
  const inside = await lab.namespace("inside");
  const firewall = await lab.namespace("fw");
  const outside = await lab.namespace("outside");
  await lab.link(
    { namespace: inside, interface: "eth0", addresses: ["192.168.10.10/24"] },
    { namespace: firewall, interface: "eth0", addresses: ["192.168.10.2/24"] },
  );
  await lab.link(
    { namespace: outside, interface: "eth0", addresses: [`${OUTSIDE}/24`] },
    { namespace: firewall, interface: "eth1", addresses: ["203.0.113.2/24"] },
  );
  await inside.ip("route add default via 192.168.10.2");
  await lab.link(
    { namespace: firewall, interface: "sync", addresses: ["10.0.9.1/24"] },
    { namespace: await lab.namespace("peer"), interface: "sync" },
  );
  await firewall.sysctl({ "net.ipv4.ip_forward": 1, "net.netfilter.nf_conntrack_tcp_loose": 0 });
  await firewall.run(["nft", "-f", "-"], { stdin: USERS_RULES });
  const config = await writeConfig(lab, "fw", {
    ...{ interface: "sync", local: "10.0.9.1", peer: "10.0.9.2" },
    keepalived: { virtual_addresses: [VIRTUAL] },
    gate: { watchdog_seconds: LONG, ...gate },
  });
  return { inside, firewall, outside, config };
}

const start = ({ firewall, config }: Stage): Promise<Daemon> => startDaemon(firewall, config);
const users = async ({ firewall }: Stage): Promise<string> =>
  (await firewall.run(["nft", "list", "table", "inet", "firewall"])) +
  (await firewall.run(["nft", "list", "table", "ip", "nat"]));

const isShut = async ({ firewall }: Stage): Promise<boolean> =>
  (await firewall.exec(["nft", "list", "set", "inet", "ctsync", "shut"])).stdout.includes("ipv4 timeout");

const resets = ({ firewall }: Stage): Promise<number> => counted(firewall, "TcpOutRsts");
const unreachables = ({ firewall }: Stage): Promise<number> => counted(firewall, "IcmpOutDestUnreachs");

const COUNT = 20;
const sendAstray = ({ outside }: Stage): void => packetsAstray(outside, OUTSIDE, VIRTUAL, COUNT);

const flowsOfVirtual = async ({ firewall }: Stage): Promise<string[]> =>
  (await firewall.run(["conntrack", "-L", "-d", VIRTUAL])).split("\n").filter((line) => line.includes(VIRTUAL));

const raise = ({ firewall }: Stage): Promise<void> => firewall.ip(`address add ${VIRTUAL}/24 dev eth1`);

test("without the gate each astray packet is answered, and claims its entry", async () => {
  await using lab = await Lab.create();
  const stage = await build(lab, { mode: "off" });
  await start(stage);
  await raise(stage);
  sendAstray(stage);
  expect(await resets(stage)).toBe(COUNT);
  expect(await unreachables(stage)).toBeGreaterThan(0); // Limited by icmp_ratelimit.
  expect((await flowsOfVirtual(stage)).length).toBe(COUNT);
});

test("shut, it answers nothing and makes no entry, lets new connections pass, leaves the user's rules alone", async () => {
  await using lab = await Lab.create();
  const stage = await build(lab, { mode: "on" });
  const before = await users(stage);
  const daemon = await start(stage);
  await daemon.succeed("notify", "fault");
  await until(() => isShut(stage), DEADLINE_MS, "the gate is shut");
  daemon.process.kill("SIGSTOP"); // Nothing takes over while we look, though the address appears.
  await raise(stage);
  sendAstray(stage);
  expect([await resets(stage), await unreachables(stage), await flowsOfVirtual(stage)]).toEqual([0, 0, []]);

  // Through it: a new connection passes, a datagram of an unknown flow does not.
  stage.outside.spawn(["socat", "TCP4-LISTEN:7001,fork,reuseaddr", "EXEC:cat"]);
  const listens = async () => (await stage.outside.run(["ss", "-Hltn"])).includes(":7001");
  await until(listens, DEADLINE_MS, "the outside listens");
  const echo = ["sh", "-c", `echo through | socat -t 2 - TCP4:${OUTSIDE}:7001`];
  expect(await stage.inside.run(echo)).toBe("through\n");
  await stage.inside.run(["sh", "-c", `echo lost | socat -u - UDP4-SENDTO:${OUTSIDE}:7002`]);
  expect(await stage.firewall.run(["conntrack", "-L", "-p", "udp"])).not.toContain("dport=7002");
  expect(await users(stage)).toBe(before);

  daemon.process.kill("SIGCONT");
  await until(async () => (await daemon.status()).role === "master", DEADLINE_MS, "the address makes it primary");
  await until(async () => !(await isShut(stage)), DEADLINE_MS, "the commit opens the gate");
  expect((await daemon.status()).gate).toMatchObject({ state: "open", held: 2 * COUNT + 1 });
  await stage.inside.run(["sh", "-c", `echo passes | socat -u - UDP4-SENDTO:${OUTSIDE}:7002`]);
  expect(await stage.firewall.run(["conntrack", "-L", "-p", "udp"])).toContain("dport=7002");
  expect(await users(stage)).toBe(before);
  await daemon.stop();
  expect((await stage.firewall.exec(["nft", "list", "table", "inet", "ctsync"])).status).not.toBe(0);
  expect(await users(stage)).toBe(before);
});

test("killed, it is gone at once; stopped in its tracks, it opens when the watchdog's time is up", async () => {
  await using lab = await Lab.create();
  const stage = await build(lab, { mode: "on", watchdog_seconds: 1 });
  const hanging = await start(stage);
  await hanging.succeed("notify", "fault");
  await until(() => isShut(stage), DEADLINE_MS, "the gate is shut");
  hanging.process.kill("SIGSTOP");
  await until(async () => !(await isShut(stage)), DEADLINE_MS, "the gate opens by itself");
  hanging.process.kill("SIGCONT");
  await until(() => isShut(stage), DEADLINE_MS, "a daemon that goes on shuts it again");
  hanging.process.kill("SIGKILL");
  await hanging.process.exited;
  const isGone = async () => (await stage.firewall.exec(["nft", "list", "table", "inet", "ctsync"])).status !== 0;
  await until(isGone, DEADLINE_MS, "the kernel removes the dead daemon's table");
  const next = await start(stage);
  await next.succeed("notify", "fault");
  await until(() => isShut(stage), DEADLINE_MS, "the next one shuts it");
});

test("a table of this name that is not ours stays, and status says so", async () => {
  await using lab = await Lab.create();
  const stage = await build(lab, { mode: "on" });
  await stage.firewall.run(["nft", "add", "table", "inet", "ctsync"]);
  const daemon = await start(stage);
  expect((await daemon.status()).gate.state).toBe("off"); // It is looked for at the start, whatever role will come.
  await daemon.succeed("notify", "fault");
  const { gate } = await daemon.status();
  expect(gate.state).toBe("off");
  expect(gate.obstacle).toContain("table inet ctsync");
  expect(daemon.process.output).toContain("no takeover gate: ");
  expect((await daemon.command("status")).stdout).toContain("gate      off: ");
  await daemon.stop();
  expect(await stage.firewall.run(["nft", "list", "table", "inet", "ctsync"])).toBe("table inet ctsync {\n}\n");
});

test("a backup that routes other traffic all the same: the gate opens by itself, and says what to do", async () => {
  await using lab = await Lab.create();
  const stage = await build(lab, { mode: "on", watchdog_seconds: 1 });
  const daemon = await start(stage);
  await daemon.succeed("notify", "fault");
  await until(() => isShut(stage), DEADLINE_MS, "the gate is shut");
  const send = `i=0; while sleep 0.05; do i=$((i + 1)); echo $i | socat -u - UDP4-SENDTO:${OUTSIDE}:7002; done`;
  stage.inside.spawn(["sh", "-c", send]);
  await daemon.process.waitForLine(/the gate opens: .*gate\.interfaces/, DEADLINE_MS);
  const passes = async () => (await stage.firewall.run(["conntrack", "-L", "-p", "udp"])).includes("dport=7002");
  await until(passes, DEADLINE_MS, "the traffic passes");
});
