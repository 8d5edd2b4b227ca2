/**
 * Whose packets wait at the gate is committed first: a connection that would come last of 50,000, and whose packets come while
 * its firewall takes over. The order is the kernel's own word, its events of new flows.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import { GATE_LOG_GROUP } from "../../src/config/limits.ts";
import * as f from "../../src/flow/flow.ts";
import { EVENT_NEW, EVENT_NONE, KernelEvents } from "../../src/kernel/events.ts";
import { PacketLog } from "../../src/kernel/packet-log.ts";
import type { StatusReport } from "../../src/report.ts";
import { inside } from "../lab/enter.ts";
import { shapeFlow } from "../lab/generate.ts";
import { Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { until } from "../lab/until.ts";
import { makeFlow } from "../make-flow.ts";
import { insert, makeSides, startPair, statusOf } from "./daemon-pair.ts";
import { unwrap } from "./kernel-table.ts";

setDefaultTimeout(60_000);

const DEADLINE_MS = 30_000;
const FLOWS = 50_000;
const VIRTUAL = 0xcb007101; // 203.0.113.1
const CLIENT = 0xc0a80a0a; // 192.168.10.10
const SERVER = 0xcb007132; // 203.0.113.50
const [CLIENT_PORT, SERVER_PORT] = [5_000, 7_002];
const EVENTS = { bufferBytes: 134_217_728, bufferMaxBytes: 134_217_728 };

/** UDP, so it may stand after all that are assured; its answers are addressed to the virtual address. */
function last(): f.Flow {
  const ports = f.portsWord(CLIENT_PORT, SERVER_PORT);
  const flow = makeFlow({ l4proto: f.IPPROTO_UDP, source: [CLIENT], destination: [SERVER], ports });
  flow.words[f.REPLY_DST] = VIRTUAL;
  return flow;
}

function others(): f.Flow[] {
  const shape = { l4proto: f.IPPROTO_TCP, ipv6: false, snat: true, mark: 0 };
  return Array.from({ length: FLOWS }, (_, i) => {
    const flow = new f.Flow();
    shapeFlow(flow, i, shape);
    return flow;
  });
}

/** A server that goes on talking to the virtual address: a datagram each call. */
class Server {
  readonly #fd: number;
  readonly #bytes = Uint8Array.from(Buffer.from("tick\n"));

  constructor(outside: Namespace) {
    this.#fd = inside(outside, () => openSocket(AF_INET, SOCK_DGRAM, f.IPPROTO_UDP));
    expect(bind(this.#fd, inetAddress(SERVER, SERVER_PORT))).toBe(0);
  }

  send(): void {
    sendTo(this.#fd, this.#bytes, this.#bytes.length, inetAddress(VIRTUAL, CLIENT_PORT));
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

interface Takeover {
  /** New flows that the kernel told of, and how many of them before ours. */
  readonly flows: number;
  readonly before: number;
  readonly status: StatusReport;
  readonly log: string;
}

/** `logGroup`: of the daemon that takes over; `taken`: somebody else has it. */
async function takeOver(logGroup: number, taken = false): Promise<Takeover> {
  await using lab = await Lab.create();
  const sides = await makeSides(lab, {
    sync: { apply: "commit" },
    gate: { mode: "auto", watchdog_seconds: 300, log_group: logGroup },
    keepalived: { virtual_addresses: ["203.0.113.1"], takeover_by_address: false },
  });
  const [primary, backup] = sides;
  const firewall = backup.namespace;
  const [host, outside] = [await lab.namespace("inside"), await lab.namespace("outside")];
  await lab.link(
    { namespace: host, interface: "eth0", addresses: ["192.168.10.10/24"] },
    { namespace: firewall, interface: "eth0", addresses: ["192.168.10.2/24"] },
  );
  await lab.link(
    { namespace: outside, interface: "eth0", addresses: ["203.0.113.50/24"] },
    { namespace: firewall, interface: "eth1", addresses: ["203.0.113.2/24"] },
  );
  await firewall.sysctl({ "net.ipv4.ip_forward": 1 });
  for (const { namespace } of sides)
    await namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  const squatter = taken ? inside(firewall, () => PacketLog.open(logGroup)) : undefined;
  const [, daemon] = await startPair(sides);
  await daemon.succeed("notify", "backup");
  insert(primary, [...others(), last()]);
  await until(async () => (await statusOf(backup)).external === FLOWS + 1, DEADLINE_MS, "the backup knows them");
  await until(async () => (await statusOf(backup)).gate.state === "shut", DEADLINE_MS, "its gate is shut");
  const client = host.spawn(["socat", "-u", `UDP4-RECV:${CLIENT_PORT}`, "STDOUT"]);
  await until(async () => (await host.run(["ss", "-Hlnu"])).includes(`:${CLIENT_PORT}`), DEADLINE_MS, "it listens");

  await firewall.ip("address add 203.0.113.1/24 dev eth1");
  using server = new Server(outside);
  server.send();
  await until(async () => (await statusOf(backup)).gate.held > 0, DEADLINE_MS, "a packet is held");
  expect(client.lines).toEqual([]);

  const events = unwrap(inside(firewall, () => KernelEvents.open(EVENTS)));
  const flow = new f.Flow();
  const ours = last().words;
  let flows = 0;
  let before = -1;
  const readEvents = (): void => {
    while (events.receive() > 0)
      for (let kind = events.next(flow); kind !== EVENT_NONE; kind = events.next(flow)) {
        if (kind !== EVENT_NEW) continue;
        if (flow.words.subarray(0, f.KEY_WORDS).every((word, i) => word === ours[i])) before = flows;
        flows++;
      }
  };
  let isDone = false;
  const done = daemon.succeed("notify", "master").finally(() => {
    isDone = true;
  });
  const talks = (): boolean => {
    server.send();
    readEvents();
    return isDone;
  };
  await until(talks, DEADLINE_MS, "the takeover is through");
  await done;
  readEvents();
  expect(events.overruns).toBe(0);
  events.close();
  server.send();
  await client.waitForLine(/^tick$/, DEADLINE_MS);
  const status = await daemon.status();
  if (squatter instanceof PacketLog) squatter.close();
  return { flows, before, status, log: daemon.process.output };
}

const COMMITTED = { committed: FLOWS + 1, updated: 0, failed: 0, failures: [], lessened: [] };

test("a connection whose packets are held is committed first, and once; nothing else of the commit is another", async () => {
  const { flows, before, status, log } = await takeOver(GATE_LOG_GROUP.standard);
  console.log(`committed after ${before} of ${flows}`);
  expect(flows).toBe(FLOWS + 1);
  expect(before).toBeGreaterThanOrEqual(0);
  expect(before).toBeLessThan(FLOWS / 2);
  expect(status.lastCommit).toMatchObject({ ...COMMITTED, first: 1 });
  expect(status.counters.gate).toMatchObject({ takenFirst: 1, unreadable: 0 });
  expect(status.counters.gate!.asked).toBeGreaterThan(0);
  expect(status.gate).toMatchObject({ state: "open", blind: null });
  expect(log).toContain(`committed ${FLOWS + 1} flows, 1 of them first`);
});

test("told not to look, or where somebody else reads the group, the gate holds as ever, and the connection comes last", async () => {
  for (const taken of [false, true]) {
    const { flows, before, status, log } = await takeOver(taken ? GATE_LOG_GROUP.standard : 0, taken);
    expect([before, flows]).toEqual([FLOWS, FLOWS + 1]);
    expect(status.lastCommit).toMatchObject({ ...COMMITTED, first: 0 });
    expect(status.counters.gate).toEqual({ asked: 0, unreadable: 0, takenFirst: 0 });
    expect(status.gate).toMatchObject({ state: "open", obstacle: null });
    expect(status.gate.held).toBeGreaterThan(1);
    expect(status.gate.blind !== null).toBe(taken);
    expect(log.includes("another program reads group 3780")).toBe(taken);
  }
});
