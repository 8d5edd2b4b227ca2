/**
 * One cycle of a standing pair: FW1 dies, returns and preempts, is stopped in good order and started again. Each of the four
 * is an event of its own, before which the dead connections were replaced, and the backup was rebooted where its kernel would
 * else still hold what it is about to get.
 */
import type { Observation } from "./observation.ts";
import { type Event, observe } from "./observe.ts";
import type { Stand } from "./stand.ts";

/** From the return on there are so many more connections, so that FW2 saw the beginning of some of them at least. */
const GROWTH = 1.25;

/** Hands over each observation as it is made. FW1 is primary and FW2 freshly booted before, and after. */
export async function* cycle(stand: Stand): AsyncGenerator<Observation, void> {
  const { fw1, fw2, traffic, options } = stand;
  let alive = 0;
  /** Opens what is missing; answers the number of the first that was opened. */
  const complete = async (wanted: number): Promise<number> => {
    await traffic.mend();
    const missing = Math.max(0, wanted - alive);
    return (await traffic.open(missing)) - missing;
  };
  const observed = async (event: Omit<Event, "youngFrom">, youngFrom = Number.POSITIVE_INFINITY) => {
    await stand.synchronised(event.taker);
    const observation = await observe(stand, { ...event, youngFrom });
    alive = observation.survivors;
    return observation;
  };

  await complete(options.connections);
  yield await observed({ scenario: "death", giver: fw1, taker: fw2, trigger: () => fw1.die() });

  await fw1.boot();
  await fw1.startDaemon();
  const grown = Math.ceil(options.connections * GROWTH);
  const youngFrom = await complete(grown);
  const starts = () => fw1.startKeepalived();
  yield await observed({ scenario: "failback", giver: fw2, taker: fw1, trigger: starts }, youngFrom);

  await stand.reboot(fw2);
  await complete(grown);
  const stops = async () => void (await fw1.keepalived.stop());
  yield await observed({ scenario: "switch", giver: fw1, taker: fw2, trigger: stops });

  await complete(grown);
  yield await observed({ scenario: "switch-back", giver: fw2, taker: fw1, trigger: starts });
}

/** Everything for the next cycle as it was before the first. */
export async function rewind(stand: Stand): Promise<void> {
  await stand.traffic.reset();
  await stand.reboot(stand.fw2);
}
