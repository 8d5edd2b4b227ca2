/**
 * What is seen on both hosts' wires while firewalls fail: advertisements, resets and ICMP that says unreachable. Resets of
 * connections that are opened in the moment of a failure are left out: how many of those survive is counted by itself.
 *
 * Lines are tcpdump's: "1700000000.123456 IP 203.0.113.1.40000 > 203.0.113.50.7010: Flags [R], …", or IP6.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LabProcess } from "../lab/process.ts";
import type { A, B, TwoFirewalls } from "../lab/two-firewalls.ts";
import { ELSEWHERE } from "./traffic.ts";
import { BULK_PORT, LATE_PORT } from "./traffic-protocol.ts";

const RESET = `((tcp[tcpflags] & tcp-rst != 0) or (ip6[6] == 6 and ip6[53] & 4 != 0)) and not port ${LATE_PORT}`;
const UNREACHABLE = "(icmp and icmp[0] == 3) or (icmp6 and ip6[40] == 1)";
const FILTER = `vrrp or (${RESET}) or ${UNREACHABLE}`;
const TRACED = `arp or vrrp or icmp or (tcp and not port ${BULK_PORT})`;
const LINE = /^(\d+\.\d+) IP6? (\S+) > (\S+): (.*)$/;
/** An IPv4 address has three dots, so what stands behind a fourth is a port; with IPv6 behind the only one. */
const PORT = /^((?:\d+\.){3}\d+|[0-9a-f:]+)\.\d+$/;
const START_DEADLINE_MS = 10_000;

export interface Seen {
  readonly atMs: number; // since 1970
  readonly from: string;
  readonly to: string;
  readonly kind: "advertisement" | "reset" | "unreachable";
  readonly text: string;
}

export class Wire {
  readonly #listeners: readonly LabProcess[];

  /** With a folder, every TCP packet but the bulk transfer's is recorded there too, a file for each host. */
  static async listen({ a, b }: TwoFirewalls, traceFolder?: string): Promise<Wire> {
    if (traceFolder !== undefined) {
      mkdirSync(traceFolder, { recursive: true });
      for (const host of [a, b]) {
        const file = join(traceFolder, `${host.name}.pcap`);
        host.spawn(["tcpdump", "-U", "-Z", "root", "-s", "96", "-i", "eth0", "-w", file, TRACED]);
      }
    }
    const flags = ["-l", "-n", "-tt", "--immediate-mode", "-i", "eth0", FILTER];
    const listeners = [a, b].map((host) => host.spawn([...ELSEWHERE, "tcpdump", ...flags]));
    for (const listener of listeners) await listener.waitForLine(/^listening on/, START_DEADLINE_MS);
    return new Wire(listeners);
  }

  private constructor(listeners: readonly LabProcess[]) {
    this.#listeners = listeners;
  }

  /** What was seen from a moment on, by either host, in the order of its coming. */
  since(ms: number): Seen[] {
    const seen = this.#listeners.flatMap(({ lines }) => lines.flatMap(({ text }) => parse(text) ?? []));
    return seen.filter(({ atMs }) => atMs >= ms).sort((one, other) => one.atMs - other.atMs);
  }

  /** Forgets what came so far. */
  clear(): void {
    for (const { lines } of this.#listeners) lines.length = 0;
  }
}

export function parse(line: string): Seen | undefined {
  const [, seconds, source = "", destination = "", text = ""] = LINE.exec(line) ?? [];
  if (seconds === undefined) return undefined;
  const kind = text.startsWith("VRRP") ? "advertisement" : text.startsWith("ICMP") ? "unreachable" : "reset";
  return { atMs: Number(seconds) * 1_000, from: addressOf(source), to: addressOf(destination), kind, text: line };
}

const addressOf = (end: string): string => PORT.exec(end)?.[1] ?? end;

type Host = typeof A | typeof B;
const isOf = ({ ipv4, ipv6 }: Host, address: string): boolean => address === ipv4 || address === ipv6;

/** Resets that reached A, and that reached B: what a host itself sends is its answer to a packet that came too late. */
export const resetsTo = (seen: readonly Seen[], host: Host): number =>
  seen.filter(({ kind, to }) => kind === "reset" && isOf(host, to)).length;

export const resetsFrom = (seen: readonly Seen[], host: Host): number =>
  seen.filter(({ kind, from }) => kind === "reset" && isOf(host, from)).length;
