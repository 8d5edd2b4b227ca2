/** The takeover gate's table in a real kernel: what nft makes of it, who keeps it, and that it opens by itself. */
import { expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  KEY_WORDS,
  l4protoOf,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
} from "../../src/flow/flow.ts";
import { KernelGate } from "../../src/kernel/gate.ts";
import type { GateScope } from "../../src/kernel/gate-rules.ts";
import { PacketLog } from "../../src/kernel/packet-log.ts";
import { inside } from "../lab/enter.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import { counted, packetsAstray } from "./astray.ts";
import { unwrap } from "./kernel-table.ts";

const DEADLINE_MS = 10_000;
const COUNT = 20;
const LONG_MS = 60_000;
const SCOPE: GateScope = {
  virtual4: [[203, 0, 113, 1]],
  virtual6: [[0x20, 1, 0xd, 0xb8, 0, 0xb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  interfaces: [],
  logGroup: 3_780,
};

const open = (namespace: Namespace, shutMs = LONG_MS, scope: GateScope = SCOPE, owned = true): KernelGate =>
  unwrap(inside(namespace, () => KernelGate.open(scope, shutMs, owned)));

const listed = (namespace: Namespace): Promise<string> => namespace.run(["nft", "list", "ruleset"]);
const isShut = async (namespace: Namespace): Promise<boolean> =>
  /elements = \{ ipv4 timeout/.test(await namespace.run(["nft", "list", "set", "inet", "ctsync", "shut"]));

const USERS_RULES = `table inet firewall {
	set blocked {
		type ipv4_addr
		elements = { 192.0.2.1, 192.0.2.7 }
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state vmap { invalid : drop, established : accept, related : accept }
	}
}
`;

test("nft prints the table as one would have written it", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const gate = open(namespace, LONG_MS, { ...SCOPE, interfaces: ["eth0", "bond1.100"] });
  expect(gate.install()).toBe("ours");
  const text = (await listed(namespace)).replaceAll(/ # progname.*/g, "");
  expect(text).toContain("flags owner");
  expect(text).toContain("elements = { 203.0.113.1 }");
  expect(text).toContain("elements = { 2001:db8:b::1 }");
  expect(text).toMatch(/elements = \{ "bond1\.100",\s*"eth0" \}|elements = \{ "eth0",\s*"bond1\.100" \}/);
  expect(text).toMatch(/tcp flags (& \(fin \| syn \| rst \| ack\) == syn|syn \/ fin,syn,rst,ack) return/);
  expect(text).toMatch(/log group 3780 snaplen 128 queue-threshold 1 counter name "held" drop/);
  expect(text).toMatch(/type filter hook forward priority raw; policy accept;/);
  expect(text).toMatch(/type filter hook input priority raw; policy accept;/);
  expect(text).toMatch(/ct state .*iifname @interfaces meta nfproto @shut goto stateless/);
  expect(text).toMatch(/ct state .*iifname != "lo" meta nfproto @shut .*ip daddr @virtual4 goto stateless/);
  expect(text).toMatch(/ct state .*iifname != "lo" meta nfproto @shut .*ip6 daddr @virtual6 goto stateless/);
  const unanswered = (family: 4 | 6): RegExp => {
    const to = family === 4 ? "ip daddr @virtual4" : "ip6 daddr @virtual6";
    return new RegExp(
      `ct state (?:& )?invalid .*iifname != "lo" meta nfproto @mute meta l4proto tcp .*${to} counter name "unanswered" drop`,
    );
  };
  expect(text).toMatch(unanswered(4));
  expect(text).toMatch(unanswered(6));
  gate.close();
  expect(await listed(namespace)).toBe("");
});

test.each([
  ["an owned table", true],
  ["a table of a kernel without owners", false],
])("%s: shuts, opens, counts, and opens by itself when nobody shuts it again", async (_, owned) => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const gate = open(namespace, 400, SCOPE, owned);
  expect(gate.install()).toBe("ours");
  expect(gate.owned).toBe(owned);
  expect(await isShut(namespace)).toBe(false);
  expect([gate.shut(), gate.shut()]).toEqual([0, 0]);
  expect(await isShut(namespace)).toBe(true);
  expect([gate.unbar(), gate.unbar()]).toEqual([0, 0]);
  expect(await isShut(namespace)).toBe(false);
  expect(gate.held()).toBe(0);
  gate.shut();
  await until(async () => !(await isShut(namespace)), DEADLINE_MS, "the gate opens by itself");
  expect(gate.shut()).toBe(0); // Elements that ran out are in nobody's way.
  expect(await isShut(namespace)).toBe(true);
  gate.close();
  expect(await listed(namespace)).toBe("");
});

test("mute, it answers no TCP that is INVALID to a virtual address, and nothing else; it answers again when told, and by itself", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const outside = await lab.namespace("outside");
  const [virtual, own, other] = ["203.0.113.1", "203.0.113.2", "203.0.113.50"] as const;
  await lab.link(
    { namespace, interface: "eth0", addresses: [`${virtual}/24`, `${own}/24`] },
    { namespace: outside, interface: "eth0", addresses: [`${other}/24`] },
  );
  await namespace.sysctl({ "net.netfilter.nf_conntrack_tcp_loose": 0 });
  const gate = open(namespace);
  expect(gate.install()).toBe("ours");
  let before = 0;
  /** Resets that were sent for so many packets of TCP, and as many of UDP. */
  const answers = async (send: () => unknown): Promise<number> => {
    await send();
    const now = await counted(namespace, "TcpOutRsts");
    const sent = now - before;
    before = now;
    return sent;
  };
  const astray = (to: string) => () => packetsAstray(outside, other, to, COUNT);
  expect(await answers(astray(virtual))).toBe(COUNT);
  expect([gate.mute(), gate.mute()]).toEqual([0, 0]);
  expect(await answers(astray(virtual))).toBe(0);
  expect([gate.unanswered(), gate.held()]).toEqual([COUNT, 0]);
  expect(await counted(namespace, "UdpNoPorts")).toBe(2 * COUNT); // UDP is NEW, and not what this is about.
  expect(await answers(astray(own))).toBe(COUNT);
  const begin = () => outside.exec(["socat", "-u", `TCP4:${virtual}:81`, "STDOUT"]); // NEW as well: refused at once.
  expect(await answers(begin)).toBe(1);
  expect(gate.shut()).toBe(0); // What it holds, it counts as held, mute or not.
  expect(await answers(astray(virtual))).toBe(0);
  expect([gate.unanswered(), gate.held()]).toEqual([COUNT, 2 * COUNT]);
  expect([gate.unbar(), gate.unmute(), gate.unmute()]).toEqual([0, 0, 0]);
  expect(await answers(astray(virtual))).toBe(COUNT);
  expect(gate.unanswered()).toBe(COUNT);
  gate.close();

  const brief = open(namespace, 400);
  expect([brief.install(), brief.mute()]).toEqual(["ours", 0]);
  const isMute = async () => /ipv4/.test(await namespace.run(["nft", "list", "set", "inet", "ctsync", "mute"]));
  expect(await isMute()).toBe(true);
  await until(async () => !(await isMute()), DEADLINE_MS, "it answers by itself");
  expect(await answers(astray(virtual))).toBe(COUNT);
  expect(brief.unanswered()).toBe(0);
  brief.close();
});

test("what it holds is told to whoever reads its log, and nothing else; with nobody there it holds as ever", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const outside = await lab.namespace("outside");
  await lab.link(
    { namespace, interface: "eth0", addresses: ["203.0.113.1/24"] },
    { namespace: outside, interface: "eth0", addresses: ["203.0.113.50/24"] },
  );
  await namespace.sysctl({ "net.netfilter.nf_conntrack_tcp_loose": 0 });
  const gate = open(namespace);
  expect([gate.install(), gate.logs, gate.shut()]).toEqual(["ours", true, 0]);
  packetsAstray(outside, "203.0.113.50", "203.0.113.1", COUNT);
  expect(gate.held()).toBe(2 * COUNT);

  const log = inside(namespace, () => PacketLog.open(SCOPE.logGroup));
  if (!(log instanceof PacketLog)) throw new Error(`the log cannot be read: ${log}`);
  expect(inside(namespace, () => PacketLog.open(SCOPE.logGroup))).toBe(-Errno.EPERM);
  const words = new Uint32Array(KEY_WORDS);
  expect(log.next(words)).toBe(false);
  packetsAstray(outside, "203.0.113.50", "203.0.113.1", COUNT);
  const told: number[] = [];
  while (log.next(words)) {
    expect([words[ORIG_SRC], words[ORIG_DST]]).toEqual([0xcb007132, 0xcb007101]);
    told.push(l4protoOf(words[PROTO]), words[ORIG_PORTS]);
  }
  const sent = [IPPROTO_TCP, IPPROTO_UDP].flatMap((l4proto) =>
    Array.from({ length: COUNT }, (_, i) => [l4proto, portsWord(80, 40_000 + i)]),
  );
  expect(told).toEqual(sent.flat());
  expect([log.packets, log.unreadable, gate.held()]).toEqual([2 * COUNT, 0, 4 * COUNT]);
  gate.unbar();
  packetsAstray(outside, "203.0.113.50", "203.0.113.1", COUNT);
  expect(log.next(words)).toBe(false);
  log.close();
  gate.close();

  const silent = open(namespace, LONG_MS, { ...SCOPE, logGroup: 0 });
  expect([silent.install(), silent.logs]).toEqual(["ours", false]);
  expect(await listed(namespace)).not.toContain("log group");
  silent.close();
});

test("the user's rules stay as they are, byte for byte; a flush of them leaves the gate", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  await namespace.run(["nft", "-f", "-"], { stdin: USERS_RULES });
  const before = await listed(namespace);
  expect(before).toContain("set blocked");
  const gate = open(namespace);
  expect(gate.install()).toBe("ours");
  gate.shut();
  gate.unbar();
  gate.shut();
  expect((await listed(namespace)).startsWith(before)).toBe(true);
  await namespace.run(["nft", "flush", "ruleset"]);
  expect(await isShut(namespace)).toBe(true);
  await namespace.run(["nft", "-f", "-"], { stdin: USERS_RULES });
  gate.close();
  expect(await listed(namespace)).toBe(before);
});

test("a table of this name that somebody else made is left alone; one that a daemon left behind is replaced", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const theirs = "table inet ctsync {\n\tset shut {\n\t\ttype nf_proto\n\t}\n}\n";
  await namespace.run(["nft", "-f", "-"], { stdin: theirs });
  const gate = open(namespace);
  expect(gate.install()).toBe("taken");
  gate.close();
  expect(await listed(namespace)).toBe(theirs);

  await namespace.run(["nft", "delete", "table", "inet", "ctsync"]);
  const dead = open(namespace, LONG_MS, SCOPE, false);
  expect(dead.install()).toBe("ours");
  dead.shut();
  const next = open(namespace);
  expect(next.install()).toBe("ours");
  expect(await isShut(namespace)).toBe(false);
  const third = open(namespace); // The one that lives keeps it.
  expect(third.install()).toBe("taken");
  third.close();
  expect(await listed(namespace)).toContain("flags owner");
  next.close();
});

test("a table without an owner that was flushed away is missed at the next change", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const gate = open(namespace, LONG_MS, SCOPE, false);
  gate.install();
  await namespace.run(["nft", "flush", "ruleset"]);
  expect(gate.shut()).toBe(-2); // ENOENT
  expect(gate.install()).toBe("ours");
  expect(gate.shut()).toBe(0);
  gate.close();
});

test("thousands of virtual addresses fit", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const virtual4 = Array.from({ length: 2_500 }, (_, i) => [10, 7, i >> 8, i & 0xff]);
  const virtual6 = virtual4.map((address) => [0xfd, ...Array(11).fill(0), ...address]);
  const gate = open(namespace, LONG_MS, { virtual4, virtual6, interfaces: [], logGroup: 0 });
  expect(gate.install()).toBe("ours");
  const text = await listed(namespace);
  expect(text.match(/\b10\.7\.\d+\.\d+/g)).toHaveLength(2_500);
  expect(text).toContain("fd00::a07:9c3");
  gate.close();
});

test("opening takes the kernel less than 2 ms", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const gate = open(namespace);
  gate.install();
  const tookMs: number[] = [];
  for (let i = 0; i < 101; i++) {
    expect(gate.shut()).toBe(0);
    const startMs = performance.now();
    expect(gate.unbar()).toBe(0);
    tookMs.push(performance.now() - startMs);
  }
  tookMs.sort((a, b) => a - b);
  console.log(`opening: median ${tookMs[50]?.toFixed(3)} ms, longest ${tookMs[100]?.toFixed(3)} ms`);
  expect(tookMs[50]).toBeLessThan(2);
  gate.close();
});

test("without the right to, it says so, and takes nobody's table for the reason", async () => {
  await using lab = await Lab.create();
  const namespace = await lab.namespace("fw");
  const program = await lab.write(
    "install.ts",
    `import { KernelGate } from ${JSON.stringify(Bun.fileURLToPath(new URL("../../src/kernel/gate.ts", import.meta.url)))};
const opened = KernelGate.open(${JSON.stringify(SCOPE)}, ${LONG_MS});
console.log(opened.ok ? JSON.stringify(opened.value.install()) : opened.error);
`,
  );
  const powerless = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
  const said = await namespace.run([...powerless, process.execPath, program]);
  expect(JSON.parse(said)).toEqual({ errno: -Errno.EPERM });
});
