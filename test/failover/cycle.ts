/**
 * One cycle of a standing pair: FW1 dies, returns and preempts, is stopped in good order and started again. Each of the four
 * is an event of its own, before which the backup was rebooted where its kernel would else still hold what it is about to get.
 */
import type { Observation } from "./observation.ts";
import { observe } from "./observe.ts";
import type { Stand } from "./stand.ts";

/** Of all connections, the share that FW2 sees the beginning of. */
const YOUNG_SHARE = 0.25;
const NONE = Number.POSITIVE_INFINITY;

/** Hands over each observation as it is made. FW1 is primary and FW2 freshly booted before, and after. */
export async function* cycle(stand: Stand): AsyncGenerator<Observation, void> {
  const { fw1, fw2, traffic, options } = stand;
  await traffic.open(options.connections);
  await stand.synchronised(fw2);
  yield await observe(stand, { scenario: "death", giver: fw1, taker: fw2, trigger: () => fw1.die(), youngFrom: NONE });

  await fw1.boot();
  await fw1.startDaemon();
  const young = Math.ceil(options.connections * YOUNG_SHARE);
  const youngFrom = (await traffic.open(young)) - young;
  await traffic.mend();
  await stand.synchronised(fw1);
  const returns = () => fw1.startKeepalived();
  yield await observe(stand, { scenario: "failback", giver: fw2, taker: fw1, trigger: returns, youngFrom });

  await stand.reboot(fw2);
  await traffic.mend();
  await traffic.open(0);
  await stand.synchronised(fw2);
  const stops = async () => void (await fw1.keepalived.stop());
  yield await observe(stand, { scenario: "switch", giver: fw1, taker: fw2, trigger: stops, youngFrom: NONE });

  await traffic.mend();
  await traffic.open(0);
  await stand.synchronised(fw1);
  yield await observe(stand, { scenario: "switch-back", giver: fw2, taker: fw1, trigger: returns, youngFrom: NONE });
}

/** Everything for the next cycle as it was before the first. */
export async function rewind(stand: Stand): Promise<void> {
  await stand.traffic.reset();
  await stand.reboot(stand.fw2);
}
