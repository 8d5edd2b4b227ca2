/** M2: how fast events that wait in the socket are worked off, down to the backup's cache. */
import { EVENTS_WAITING_MAX, queueEvents, withListener } from "../listener.ts";
import { WARM_UP_FLOWS } from "../load.ts";
import type { Measure, Readings } from "../measure.ts";

export const drain: Measure = {
  id: "M2",
  title: "Drain",
  method:
    "The primary's daemon is halted, 100,000 new flows (SNAT, TCP) wait in its netlink socket, none dropped, and it is let " +
    "go: events a second until the backup's external cache holds all. Limit: a bare receiver of the same events.",
  rows: () => [
    {
      id: "drained",
      label: "events that waited in the socket",
      unit: "/s",
      better: "higher",
      goals: [{ factor: 1.5, of: "conntrackd" }],
    },
  ],
  subjects: ["conntrackd", "ctsync", "limit"],
  repeats: (form) => (form === "quick" ? 1 : 5),
  take: (subject): Promise<Readings> =>
    withListener(subject, [EVENTS_WAITING_MAX], async (listener) => {
      await queueEvents(listener, EVENTS_WAITING_MAX, WARM_UP_FLOWS);
      const startMs = performance.now();
      listener.signal("SIGCONT");
      await listener.arrived(WARM_UP_FLOWS + EVENTS_WAITING_MAX);
      return { drained: (EVENTS_WAITING_MAX / (performance.now() - startMs)) * 1000 };
    }),
};
