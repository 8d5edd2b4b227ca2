import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, parseConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const SHORTEST = '[[link]]\ninterface = "eth2"\nlocal = "10.0.9.1"\npeer = "10.0.9.2"\n';

function good(text: string) {
  const config = parseConfig(text, "ctsync.toml");
  if (!config.ok) throw new Error(config.error.join("\n"));
  return config.value;
}

function mistakes(text: string): string[] {
  const config = parseConfig(text, "ctsync.toml");
  return config.ok ? [] : config.error;
}

test("three settings suffice for a pair, the rest has defaults", () => {
  expect(good(SHORTEST)).toEqual({
    sync: {
      mode: "ftfw",
      apply: "live",
      flowsMax: 1_048_576,
      resendQueue: 131_072,
      ackWindow: 300,
      purgeTimeoutSeconds: 60,
      auditSeconds: 60,
      expectations: true,
    },
    links: [
      {
        transport: "udp",
        interface: "eth2",
        local: { family: 4, words: [0x0a000901, 0, 0, 0], text: "10.0.9.1" },
        peer: { family: 4, words: [0x0a000902, 0, 0, 0], text: "10.0.9.2" },
        port: 3780,
        keyFile: "",
        receiveBufferBytes: 8_388_608,
        sendBufferBytes: 8_388_608,
      },
    ],
    filter: { ignoreAddresses: [] },
    gate: { mode: "auto", watchdogSeconds: 10, interfaces: [], logGroup: 3780 },
    keepalived: { notifyFifo: "", instance: "", virtualAddresses: [], takeoverByAddress: true },
    control: { socket: "/run/ctsync/ctsync.sock" },
    netlink: { bufferBytes: 16_777_216, bufferMaxBytes: 134_217_728, gatherMs: 2 },
    recorder: { path: "/var/lib/ctsync/timeline.ring", sizeBytes: 1_048_576 },
    daemon: { realtimePriority: 1 },
    log: { level: "info" },
  });
});

const FULL = `
[sync]
mode = "ftfw"
apply = "commit"
flows_max = 4096
resend_queue = 1000
ack_window = 10
purge_timeout_seconds = 30
audit_seconds = 0
expectations = false
[[link]]
transport = "udp"
interface = "eth2"
local = "fe80::1%eth2"
peer = "fe80::2%eth2"
port = 4000
receive_buffer_bytes = 70000
send_buffer_bytes = 80000
[filter]
ignore_addresses = ["192.0.2.10", "2001:db8::/64"]
[control]
socket = "/tmp/ctsync.sock"
[netlink]
buffer_bytes = 70000
buffer_max_bytes = 70000
gather_ms = 0.25
[daemon]
realtime_priority = 0
[log]
level = "debug"
`;

test("every setting that is written is taken, and shown settings load as the same", () => {
  const config = good(FULL);
  expect(config.sync).toEqual({
    mode: "ftfw",
    apply: "commit",
    flowsMax: 4096,
    resendQueue: 1000,
    ackWindow: 10,
    purgeTimeoutSeconds: 30,
    auditSeconds: 0,
    expectations: false,
  });
  expect(config.links[0]).toMatchObject({ port: 4000, receiveBufferBytes: 70_000, sendBufferBytes: 80_000 });
  expect(config.links[0].peer.zone).toBe("eth2");
  expect(config.filter.ignoreAddresses.map((cidr) => cidr.prefixBits)).toEqual([32, 64]);
  expect(config.control.socket).toBe("/tmp/ctsync.sock");
  expect(config.netlink).toEqual({ bufferBytes: 70_000, bufferMaxBytes: 70_000, gatherMs: 0.25 });
  expect(config.daemon.realtimePriority).toBe(0);
  expect(config.log.level).toBe("debug");
  expect(good(renderConfig(config))).toEqual(config);
  expect(good(renderConfig(good(SHORTEST)))).toEqual(good(SHORTEST));
});

test("all mistakes are reported at once, with path, rule, value found and nearest key", () => {
  const text = `
[synk]
[sync]
mode = "alarm"
flows_max = "many"
resend_que = 3
[[link]]
transport = "tcp"
key_file = "link.key"
interfac = "eth2"
local = "10.0.9.1"
peer = "10.0.9.1"
port = 70000
flows_max = 3
colour = "red"
[[link]]
interface = "a/b"
local = "10.0.9.1"
peer = "2001:db8::1"
send_buffer_bytes = 1.5
[filter]
ignore_addresses = ["192.0.2.10", 7, "2001:db8::1/64"]
[control]
socket = "run/ctsync.sock"
[netlink]
buffer_bytes = 134217729
[log]
level = 2026-01-01
`;
  expect(mistakes(text).join("\n")).toBe(
    `
ctsync.toml: synk: unknown key, did you mean "sync"? (found a table)
ctsync.toml: sync.resend_que: unknown key, did you mean "resend_queue"? (found 3)
ctsync.toml: link[0].interfac: unknown key, did you mean "interface"? (found "eth2")
ctsync.toml: link[0].flows_max: unknown key, did you mean "sync.flows_max"? (found 3)
ctsync.toml: link[0].colour: unknown key, known here: transport, interface, local, peer, key_file, port, receive_buffer_bytes, send_buffer_bytes (found "red")
ctsync.toml: sync.mode: the one mode available is "ftfw" (found "alarm")
ctsync.toml: sync.flows_max: expected a whole number from 16 to 16777216 (found "many")
ctsync.toml: link[0].transport: the one transport available is "udp" (found "tcp")
ctsync.toml: link[0].interface: is missing: name the interface of the dedicated link, such as "eth2"
ctsync.toml: link[0].key_file: expected an absolute path, or "" for a link without a key (found "link.key")
ctsync.toml: link[0].port: UDP ports are 1 to 65535 (found 70000)
ctsync.toml: link[0].peer: must not equal local: it is the other firewall's address (found "10.0.9.1")
ctsync.toml: link[1].interface: interface names have 1 to 15 bytes without blanks, slashes and colons (found "a/b")
ctsync.toml: link[1].send_buffer_bytes: expected a whole number from 65536 to 1073741823 (found 1.5)
ctsync.toml: link[1].peer: must be of the same family as local: both IPv4 or both IPv6 (found "2001:db8::1")
ctsync.toml: link: exactly one link is available: write one [[link]] with interface, local and peer (found a list of 2)
ctsync.toml: filter.ignore_addresses[1]: expected an address or network in quotes, such as "192.0.2.0/24" (found 7)
ctsync.toml: filter.ignore_addresses[2]: an address and a network in one: write "2001:db8::/64" for the network, "2001:db8::1" for the address (found "2001:db8::1/64")
ctsync.toml: control.socket: expected an absolute path (found "run/ctsync.sock")
ctsync.toml: netlink.buffer_bytes: must not exceed netlink.buffer_max_bytes (found 134217729)
ctsync.toml: log.level: expected "error", "warning", "info" or "debug" (found the date or time 2026-01-01)`.trimStart(),
  );
});

test.each([
  ["", "ctsync.toml: link: is missing: write one [[link]] with interface, local and peer"],
  [
    "link = []",
    "ctsync.toml: link: exactly one link is available: write one [[link]] with interface, local and peer (found a list of 0)",
  ],
  ["[link]\n", "ctsync.toml: link: expected a list of links: write [[link]] in two pairs of brackets (found a table)"],
  ["link = [3]", "ctsync.toml: link[0]: expected a table (found 3)"],
  [`sync = 3\n${SHORTEST}`, "ctsync.toml: sync: expected a table (found 3)"],
  [
    `${SHORTEST}[sync]\nack_window = 400\nresend_queue = 399`,
    "ctsync.toml: sync.ack_window: must not exceed sync.resend_queue, or messages leave that queue before the peer acknowledges them (found 400)",
  ],
  [
    SHORTEST.replace("eth2", "a-name-too-long-"),
    'ctsync.toml: link[0].interface: interface names have 1 to 15 bytes without blanks, slashes and colons (found "a-name-too-long-")',
  ],
  [
    SHORTEST.replace('"10.0.9.1"', "10"),
    'ctsync.toml: link[0].local: expected an IPv4 or IPv6 address in quotes, such as "10.0.9.1" (found 10)',
  ],
  [
    SHORTEST.replace("10.0.9.1", "fe80::1%eth3").replace("10.0.9.2", "2001:db8::2"),
    'ctsync.toml: link[0].local: its zone must be the link\'s interface (found "fe80::1%eth3")',
  ],
  [
    SHORTEST.replace("10.0.9.1", "::1").replace("10.0.9.2", "fe80::2"),
    'ctsync.toml: link[0].peer: a link-local address needs its interface: write "fe80::2%INTERFACE" (found "fe80::2")',
  ],
  [
    `${SHORTEST}[filter]\nignore_addresses = "10.0.0.1"`,
    'ctsync.toml: filter.ignore_addresses: expected a list of addresses in brackets (found "10.0.0.1")',
  ],
  [
    `${SHORTEST}[control]\nsocket = "/${"x".repeat(107)}"`,
    `ctsync.toml: control.socket: paths of unix sockets have at most 107 bytes (found "/${"x".repeat(79)}…")`,
  ],
  [
    `${SHORTEST}[sync]\nflows_max = nan`,
    "ctsync.toml: sync.flows_max: expected a whole number from 16 to 16777216 (found NaN)",
  ],
  [
    `"a key" = 1\n${SHORTEST}`,
    'ctsync.toml: "a key": unknown key, known here: sync, link, filter, gate, keepalived, control, netlink, recorder, daemon, log (found 1)',
  ],
  [`${SHORTEST}mode = ftfw`, 'ctsync.toml: line 5, column 8: Strings must be quoted: "ftfw"'],
])("the one mistake of %j", (text, mistake) => {
  expect(mistakes(text)).toEqual([mistake]);
});

test("the longest socket path is good", () => {
  const socket = `/${"x".repeat(106)}`;
  expect(good(`${SHORTEST}[control]\nsocket = "${socket}"`).control.socket).toBe(socket);
});

test("a file that cannot be read says what to do", () => {
  const directory = mkdtempSync(join(tmpdir(), "ctsync-config-"));
  try {
    const missing = join(directory, "ctsync.toml");
    expect(loadConfig(missing)).toEqual({
      ok: false,
      error: [
        `${missing}: there is no such file. Write one (README.md has an example), or name another with --config FILE`,
      ],
    });
    expect(loadConfig(directory)).toEqual({
      ok: false,
      error: [`${directory}: this is a directory. Name the file in it with --config FILE`],
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a mistake is one line that steers no terminal, whatever the file holds", () => {
  const lines = [
    ...mistakes('"\\u0000" = 5\n"\\u0000" = 1'),
    ...mistakes('"\\u009b2J\\u202e" = 5'),
    ...mistakes(`${SHORTEST}[log]\nlevel = "\\u009b2J\\u202e\\n"`),
  ];
  expect(lines.length).toBeGreaterThanOrEqual(3);
  for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(lines[0]).toContain("\\u{0}");
});
