/**
 * One cycle of a standing pair: FW1 dies, returns and preempts, is stopped in good order and started again. Each of the four
 * is an event of its own, before which the dead connections were replaced, and the backup was rebooted where its kernel would
 * else still hold what it is about to get.
 */
import type { Observation } from "./observation.ts";
import { type Event, observe } from "./observe.ts";
import type { Machine, Stand } from "./stand.ts";
import type { Wanted } from "./traffic-protocol.ts";

/** From the return on there are so many more connections, so that FW2 saw the beginning of some of them at least. */
const GROWTH = 1.25;
/** A tenth as many as there are of the connections over IPv4 that are opened from inside. */
const SHARE = 0.1;

/** What is alive before an event, beside one ssh session and a ping. */
function wantedBeside(talk: number, cannot: readonly string[]): Wanted {
  const some = Math.ceil(talk * SHARE);
  const wanted = {
    talk,
    ipv6: some,
    inbound: some,
    udp: Math.ceil(some / 4),
    bulk: 1,
    push: 1,
    ftp: 1,
    "ftp-active": 1,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([kind]) => !cannot.includes(kind)));
}

/** Hands over each observation as it is made. FW1 is primary before and after, with the other flows and no connection. */
export async function* cycle(stand: Stand): AsyncGenerator<Observation, void> {
  const { fw1, fw2, traffic, options } = stand;
  /** Opens what is missing, through the primary; answers the number of the first that was opened. */
  const complete = (primary: Machine, talk: number): Promise<number> =>
    primary.whileOpening(() => traffic.open(wantedBeside(talk, options.subject.cannot)));
  const observed = async (event: Omit<Event, "youngFrom">, youngFrom = Number.POSITIVE_INFINITY) => {
    const waitsByItself = options.subject.isAsked && event.scenario === "failback";
    if (!waitsByItself) await stand.synchronised(event.taker);
    return await observe(stand, { ...event, youngFrom });
  };

  await Promise.all([stand.reboot(fw2), complete(fw1, options.connections)]);
  const dies = async () => {
    await traffic.burst();
    await fw1.firewall.cut();
    await traffic.hush();
    await fw1.die();
  };
  const boots = () => fw1.boot();
  yield await observed({ scenario: "death", giver: fw1, taker: fw2, trigger: dies, meanwhile: boots });

  const grown = Math.ceil(options.connections * GROWTH);
  const [youngFrom] = await Promise.all([complete(fw2, grown), fw1.startDaemon()]);
  const starts = () => fw1.startKeepalived();
  yield await observed({ scenario: "failback", giver: fw2, taker: fw1, trigger: starts }, youngFrom);

  // A live backup's kernel is to hold what it is about to get; any other's is to hold nothing of it.
  const readied = options.subject.isLive ? undefined : stand.reboot(fw2);
  await Promise.all([readied, complete(fw1, grown)]);
  const stops = async () => void (await fw1.keepalived.stop());
  yield await observed({ scenario: "switch", giver: fw1, taker: fw2, trigger: stops });

  await complete(fw2, grown);
  yield await observed({ scenario: "switch-back", giver: fw2, taker: fw1, trigger: starts });

  await traffic.reset();
  await stand.refill();
}
