/**
 * Whoever follows the flows of the primary's kernel, seen alike: a pair of nodes that replicates them, or the bare receiver
 * that does nothing with them. All have worked for a moment before they are measured, so that compiled code is measured.
 */
import type { Namespace } from "../lab/namespace.ts";
import { BareReceiver } from "./bare-receiver.ts";
import { completeArrival, insertFlows, insertWarmUp, WARM_UP_FLOWS, warmUp } from "./load.ts";
import type { Subject } from "./measure.ts";
import { withNamespaces, withPair } from "./pair.ts";

/** Larger than what `EVENTS_WAITING_MAX` events take in a socket's buffer: about a kilobyte each as the kernel counts. */
const NETLINK_BUFFER_BYTES = 134_217_728;
export const EVENTS_WAITING_MAX = 100_000;

/** CPU time in microseconds; the bare receiver stands where the sender does, and has no peer. */
export interface CpuUs {
  readonly sender: number;
  readonly receiver?: number;
}

export interface Listener {
  /** Where the flows are made. */
  readonly namespace: Namespace;
  cpuUs(): CpuUs;
  /** Returns once the last of `flows` flows in all has arrived, WARM_UP_FLOWS included; throws when one never does. */
  arrived(flows: number): Promise<void>;
  /** Halts and resumes the one that listens to the kernel. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
}

/** `loads`: how many flows will come, load by load. */
export function withListener<T>(
  subject: Subject,
  loads: readonly number[],
  work: (listener: Listener) => Promise<T>,
): Promise<T> {
  return subject === "limit" ? withReceiver(loads, work) : withReplication(subject, work);
}

function withReplication<T>(program: "conntrackd" | "ctsync", work: (listener: Listener) => Promise<T>): Promise<T> {
  const options = { netlinkBufferBytes: NETLINK_BUFFER_BYTES, netlinkBufferMaxBytes: NETLINK_BUFFER_BYTES };
  return withPair(program, { primary: options }, async (pair) => {
    await warmUp(pair);
    return await work({
      namespace: pair.primary.namespace,
      cpuUs: () => ({ sender: pair.primary.cpuUs(), receiver: pair.backup.cpuUs() }),
      arrived: async (flows) => void (await completeArrival(pair, flows)),
      signal: (signal) => pair.primary.signal(signal),
    });
  });
}

function withReceiver<T>(loads: readonly number[], work: (listener: Listener) => Promise<T>): Promise<T> {
  const marks = [WARM_UP_FLOWS];
  for (const load of loads) marks.push(marks[marks.length - 1] + load);
  // The last mark ends it, and its CPU time is asked for afterwards.
  marks.push(Number.MAX_SAFE_INTEGER);
  return withNamespaces(async (_, namespace) => {
    const receiver = await BareReceiver.start(namespace, marks, NETLINK_BUFFER_BYTES);
    await insertWarmUp(namespace);
    await receiver.has(WARM_UP_FLOWS);
    return await work({
      namespace,
      cpuUs: () => ({ sender: receiver.cpuUs() }),
      arrived: (flows) => receiver.has(flows),
      signal: (signal) => receiver.signal(signal),
    });
  });
}

/** Makes `count` events wait in the halted listener's socket; throws when the kernel had to drop one. */
export async function queueEvents(listener: Listener, count: number, first: number): Promise<void> {
  listener.signal("SIGSTOP");
  await insertFlows(listener.namespace, { count, rate: "max", first });
  const sockets = await listener.namespace.run(["cat", "/proc/net/netlink"]);
  const [header, ...lines] = sockets.trim().split("\n");
  const column = header.trim().split(/\s+/).indexOf("Drops");
  const dropped = lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[column]), 0);
  if (column < 0 || dropped > 0) throw new Error(`the kernel dropped ${dropped} events of a halted listener`);
}
