/**
 * Real traffic through the primary of a pair: TCP in several states, UDP, ICMP and ICMPv6, GRE and ESP; translated, marked,
 * labelled, zoned; and an FTP control connection whose PORT command the kernel rewrites, with its related data connection.
 */
import { close } from "../../ffi/libc.ts";
import { openSocket, SOCK_DGRAM, SOCK_RAW, sendTo } from "../../ffi/socket.ts";
import { AF_INET, AF_INET6, inet6Address, inetAddress } from "../../ffi/socket-address.ts";
import * as f from "../../src/flow/flow.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { until } from "../lab/until.ts";
import { kernelLines, type Pair } from "./conntrackd-pair.ts";

const DEADLINE_MS = 10_000;
const B = 0x0a020002; // 10.2.0.2
const B6 = [0x20010db8, 0x00020000, 0, 2];
const FTP_DATA_PORT = 5001;

export async function sendTraffic({ a, b, primary }: Pair): Promise<void> {
  for (const port of [80, 21, 8443]) await echo(b, `TCP6-LISTEN:${port},ipv6only=0,reuseaddr,fork`);
  await echo(b, "UDP6-LISTEN:7053,ipv6only=0,reuseaddr,fork");
  await Promise.all([
    ...["10.2.0.2:80", "10.2.0.2:8443", "198.51.100.80:8080"].map((to) => converse(a, `TCP:${to}`)),
    ...["[2001:db8:2::2]:8443", "[2001:db8:64::80]:8080"].map((to) => converse(a, `TCP6:${to}`)),
    converse(a, "UDP:198.51.100.80:53"),
  ]);
  const closed = await converse(a, "TCP6:[2001:db8:2::2]:80");
  await closed.stop();
  a.spawn(["socat", "STDIO", "TCP:10.2.0.99:80"]); // Nobody answers.
  for (const to of ["10.2.0.2", "10.2.0.3", "2001:db8:2::2"]) await a.run(["ping", "-c1", "-W5", to]);
  inside(a, () => {
    for (const port of [7001, 7002, 7004, 7005]) send(SOCK_DGRAM, f.IPPROTO_UDP, port, new Uint8Array(8));
    send(SOCK_RAW, 50, 0, new Uint8Array(16)); // ESP
    send(SOCK_RAW, f.IPPROTO_GRE, 0, Uint8Array.of(0, 0, 8, 0));
  });
  await transferByFtp(a, b);
  const has = async (protocol: string): Promise<boolean> =>
    (await kernelLines(primary.namespace)).some((flow) => flow.protocol === protocol);
  for (const protocol of ["tcp 6 TIME_WAIT", "tcp 6 SYN_SENT", "gre 47", "unknown 50"])
    await until(() => has(protocol), DEADLINE_MS, `the kernel has a flow of ${protocol}`);
}

/** Serves what it hears, once it listens. */
async function echo(namespace: Namespace, address: string): Promise<void> {
  const server = namespace.spawn(["socat", "-d", "-d", address, "PIPE"]);
  // A datagram listener says nothing until a datagram comes.
  if (address.startsWith("TCP")) await server.waitForLine(/ listening on /, DEADLINE_MS);
  else {
    const bound = async () => (await namespace.run(["ss", "-lnu"])).includes(":7053 ");
    await until(bound, DEADLINE_MS, "the UDP server listens");
  }
}

/** A connection that stays, over which a line went there and back. */
async function converse(namespace: Namespace, to: string): Promise<LabProcess> {
  const client = namespace.spawn(["socat", "STDIO", to]);
  await say(client, "hello", /^hello$/);
  return client;
}

function say(client: LabProcess, text: string, answer: RegExp): Promise<string> {
  client.write(`${text}\r\n`);
  return client.waitForLine(answer, DEADLINE_MS);
}

/**
 * Active FTP from a translated client: the command names an address of another length, so sequence numbers shift. The
 * server only echoes; that the rewritten command comes back says what to connect to.
 */
async function transferByFtp(a: Namespace, b: Namespace): Promise<void> {
  const control = await converse(a, "TCP:10.2.0.2:21");
  const data = `${FTP_DATA_PORT >> 8},${FTP_DATA_PORT & 0xff}`;
  const rewritten = await say(control, `PORT 10,1,0,2,${data}`, /^PORT 198,51,100,200,/);
  await say(control, "NOOP", /^NOOP$/);
  const [high = 0, low = 0] = rewritten.split(",").slice(-2).map(Number);
  await echo(a, `TCP4-LISTEN:${FTP_DATA_PORT},reuseaddr`);
  await converse(b, `TCP:198.51.100.200:${high * 256 + low}`);
}

function send(type: number, protocol: number, port: number, payload: Uint8Array): void {
  for (const [family, address] of [
    [AF_INET, inetAddress(B, port)],
    [AF_INET6, inet6Address(B6, port)],
  ] as const) {
    const fd = openSocket(family, type, protocol);
    sendTo(fd, payload, payload.length, address);
    close(fd);
  }
}
