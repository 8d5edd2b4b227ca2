/** M4: what a new flow costs in CPU time, at rates from a trickle to a flood, in the daemon that sends and the one that receives. */
import { joinHosts } from "../hosts.ts";
import { type CpuUs, EVENTS_WAITING_MAX, type Listener, queueEvents, withListener } from "../listener.ts";
import { insertFlows, WARM_UP_FLOWS } from "../load.ts";
import type { Form, Goal, Measure, Readings, Row } from "../measure.ts";
import { settled } from "../settle.ts";

const SECONDS: Readonly<Record<Form, number>> = { quick: 0.3, full: 3 };
const FORWARDED_RATE = 20_000;
/** Comes first and is not measured: Bun compiles for some ten seconds of a trickle, a daemon runs for months. */
const SETTLING_RATE = 15_000;
const SETTLING_FLOWS: Readonly<Record<Form, number>> = { quick: 0, full: 150_000 };

/** What compiling threads have left undone by then is done when half a second takes less CPU time than this. */
const AT_REST_US = 10_000;

/** A load by the end of its rows' ids; `goal` is the part of conntrackd's cost that is allowed. */
interface Load {
  readonly id: string;
  readonly label: string;
  readonly rate: number | "waiting" | "forwarded";
  readonly goal: number;
  /** Not of the quick form. */
  readonly fullOnly?: true;
}

const LOADS: readonly Load[] = [
  { id: "5000", label: "at 5,000/s", rate: 5_000, goal: 0.4 },
  { id: "20000", label: "at 20,000/s", rate: 20_000, goal: 0.4 },
  { id: "50000", label: "at 50,000/s", rate: 50_000, goal: 0.6, fullOnly: true },
  { id: "drained", label: "drained", rate: "waiting", goal: 0.7 },
  { id: "forwarded", label: "at 20,000/s, real packets", rate: "forwarded", goal: 0.4, fullOnly: true },
];

const loadsOf = (form: Form): readonly Load[] => LOADS.filter(({ fullOnly }) => form === "full" || !fullOnly);

const BARE_RECEIVER: Goal = { factor: 2, of: "limit" };

function rowsOf({ id, label, goal }: Load): Row[] {
  const row = { unit: "µs", better: "lower" } as const;
  const ofConntrackd: Goal = { factor: goal, of: "conntrackd" };
  return [
    { ...row, id: `sender-${id}`, label: `sender ${label}`, goals: [ofConntrackd, BARE_RECEIVER] },
    { ...row, id: `receiver-${id}`, label: `receiver ${label}`, goals: [ofConntrackd] },
  ];
}

function eventsOf({ rate }: Load, form: Form): number {
  if (rate === "waiting") return EVENTS_WAITING_MAX;
  return (rate === "forwarded" ? FORWARDED_RATE : rate) * SECONDS[form];
}

/** Before and after, divided by the events between. */
function perEvent(id: string, before: CpuUs, after: CpuUs, events: number): Readings {
  const sender = { [`sender-${id}`]: (after.sender - before.sender) / events };
  if (after.receiver === undefined || before.receiver === undefined) return sender;
  return { ...sender, [`receiver-${id}`]: (after.receiver - before.receiver) / events };
}

const totalUs = ({ sender, receiver = 0 }: CpuUs): number => sender + receiver;

type SendPackets = (count: number, rate: number) => Promise<void>;

/** One load, until the last flow has arrived; `standing` flows are there before it. */
async function readingsOf(
  load: Load,
  events: number,
  standing: number,
  listener: Listener,
  send: SendPackets | undefined,
): Promise<Readings> {
  const { rate } = load;
  if (rate === "waiting") await queueEvents(listener, events, standing);
  const before = listener.cpuUs();
  if (rate === "waiting") listener.signal("SIGCONT");
  else if (rate === "forwarded") await send?.(events, FORWARDED_RATE);
  else await insertFlows(listener.namespace, { count: events, rate, first: standing });
  await listener.arrived(standing + events);
  return perEvent(load.id, before, listener.cpuUs(), events);
}

export const cpu: Measure = {
  id: "M4",
  title: "CPU per event",
  method:
    "CPU time of the whole process (all threads) per new flow, from before the load of 3 s until the backup has every flow. " +
    "Drained: 100,000 events wait in the socket of the halted sender. Real packets: UDP, forwarded with source NAT, each to " +
    "a new port. All follow 150,000 flows at 15,000/s (quick: none) and a rest that are not measured. Limit: a bare receiver that reads " +
    "the same events in batches and gathers them for 1 ms. Both programs run with real-time priority (RR 1).",
  rows: (form) => loadsOf(form).flatMap(rowsOf),
  subjects: ["conntrackd", "ctsync", "limit"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  take(subject, form): Promise<Readings> {
    const loads = loadsOf(form);
    const events = loads.map((load) => eventsOf(load, form));
    const settling = SETTLING_FLOWS[form];
    return withListener(subject, [settling, ...events], async (listener) => {
      const { namespace } = listener;
      // First, since ctsync looks closely at what is forwarded for some seconds after addresses have come.
      const send = loads.some(({ rate }) => rate === "forwarded") ? await joinHosts(namespace) : undefined;
      if (settling > 0) await insertFlows(namespace, { count: settling, rate: SETTLING_RATE, first: WARM_UP_FLOWS });
      await listener.arrived(WARM_UP_FLOWS + settling);
      await settled(() => totalUs(listener.cpuUs()), AT_REST_US, "CPU time after the first flows");
      const readings: Record<string, number> = {};
      let standing = WARM_UP_FLOWS + settling;
      for (const [i, load] of loads.entries()) {
        Object.assign(readings, await readingsOf(load, events[i], standing, listener, send));
        standing += events[i];
      }
      return readings;
    });
  },
};
