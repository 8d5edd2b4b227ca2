/**
 * What a node sends over the sync link, and when: tcpdump beside it, read when it has ended.
 *
 * tcpdump stamps a packet with the wall clock as the kernel hands it to the interface: the clock that conntrack's own
 * timestamps are of.
 */
import { join } from "node:path";
import { CT_DESTROY, FRAME_BAD_SIZE, FRAME_TRUNCATED, frameLength, headerType } from "../../src/wire/header.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";
import { until } from "../lab/until.ts";
import { SYNC } from "./pair.ts";
import { type Datagram, datagrams, lastPacketMs } from "./pcap.ts";

const START_DEADLINE_MS = 5_000;
const STOP_DEADLINE_MS = 30_000;
const FILE_POLL_MS = 100;
/** Between the kernel and tcpdump: nothing may be lost while both cores are busy. */
const BUFFER_KIB = 65_536;

export class WireCapture {
  readonly #tcpdump: LabProcess;
  readonly #path: string;

  /** Returns once packets are captured: all that leave, whole or their first `bytesEach` bytes. */
  static async start(namespace: Namespace, bytesEach = 65_536): Promise<WireCapture> {
    const path = join(namespace.lab.directory, `${namespace.name}.pcap`);
    const tcpdump = namespace.spawn([
      ...["tcpdump", "-n", "-p", "-Z", "root", "-i", SYNC, "-Q", "out", "-U", "-w", path],
      ...["--time-stamp-precision=nano", "-B", `${BUFFER_KIB}`, "-s", `${bytesEach}`, "udp"],
    ]);
    await tcpdump.waitForLine(/listening on/, START_DEADLINE_MS);
    return new WireCapture(tcpdump, path);
  }

  private constructor(tcpdump: LabProcess, path: string) {
    this.#tcpdump = tcpdump;
    this.#path = path;
  }

  /**
   * Ends the capture; every datagram until now, in order. What the kernel has not handed to tcpdump yet would be lost, so this
   * waits for a later packet first: both programs say something every second. Throws when tcpdump missed any.
   */
  async stop(): Promise<Datagram[]> {
    const nowMs = Date.now();
    const later = async (): Promise<boolean> => lastPacketMs(await Bun.file(this.#path).bytes()) > nowMs;
    await until(later, STOP_DEADLINE_MS, "tcpdump writes what it captured", FILE_POLL_MS);
    this.#tcpdump.kill("SIGINT");
    const dropped = await this.#tcpdump.waitForLine(/packets? dropped by kernel/, STOP_DEADLINE_MS);
    await this.#tcpdump.exited;
    if (Number.parseInt(dropped, 10) !== 0) throw new Error(`tcpdump: ${dropped}`);
    return [...datagrams(await Bun.file(this.#path).bytes())];
  }
}

/** Where a message about a flow lies in its datagram. */
interface FlowMessage {
  readonly at: number;
  readonly lengthBytes: number;
}

/** The datagram's messages about flows, as far as it was captured. */
export function* flowMessages({ view, at, end }: Datagram): Generator<FlowMessage> {
  while (at < end) {
    const lengthBytes = frameLength(view, at, end);
    if (lengthBytes === FRAME_TRUNCATED || lengthBytes === FRAME_BAD_SIZE) return;
    if (headerType(view, at) <= CT_DESTROY) yield { at, lengthBytes };
    at += lengthBytes;
  }
}
