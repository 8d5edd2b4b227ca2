/**
 * Two hosts around the primary, for real packets. The primary forwards them and translates their source; the far host drops
 * them, so that each makes one flow and one event.
 *
 *   source ── 10.1.0.0/24 ── primary ── 10.2.0.0/24 ── sink, and beyond it 198.51.100.0/24
 */
import type { Namespace } from "../lab/namespace.ts";

const FORWARD = Bun.fileURLToPath(new URL("../lab/forward.ts", import.meta.url));
const BEYOND = "198.51.100";
const TRANSLATED = "203.0.113.1";
/** Known from the start: a question for them would lose the first packets. */
const MAC = {
  source: "02:00:00:00:01:02",
  inside: "02:00:00:00:01:01",
  outside: "02:00:00:00:02:01",
  sink: "02:00:00:00:02:02",
};
const DEADLINE_MS = 60_000;

/** Builds both hosts; the answer sends so many packets, each to a port of its own, and returns when all have been sent. */
export async function joinHosts(primary: Namespace): Promise<(count: number, rate: number) => Promise<void>> {
  const { lab } = primary;
  const [source, sink] = [await lab.namespace("source"), await lab.namespace("sink")];
  await lab.link(
    { namespace: source, interface: "eth0", addresses: ["10.1.0.2/24"] },
    { namespace: primary, interface: "eth0", addresses: ["10.1.0.1/24"] },
  );
  await lab.link(
    { namespace: sink, interface: "eth0", addresses: ["10.2.0.2/24"] },
    { namespace: primary, interface: "eth1", addresses: ["10.2.0.1/24"] },
  );
  await source.ip(
    `link set dev eth0 address ${MAC.source}`,
    `neighbour replace 10.1.0.1 lladdr ${MAC.inside} dev eth0`,
    "route add default via 10.1.0.1",
  );
  await sink.ip(`link set dev eth0 address ${MAC.sink}`);
  await primary.ip(
    `link set dev eth0 address ${MAC.inside}`,
    `link set dev eth1 address ${MAC.outside}`,
    `neighbour replace 10.2.0.2 lladdr ${MAC.sink} dev eth1`,
    `route add ${BEYOND}.0/24 via 10.2.0.2`,
  );
  await primary.sysctl({ "net.ipv4.ip_forward": 1 });
  await primary.nft(`table ip translation {
    chain source { type nat hook postrouting priority srcnat; oifname "eth1" snat to ${TRANSLATED}; }
  }`);
  await sink.nft(`table inet sink {
    chain arriving { type filter hook prerouting priority -300; drop; }
  }`);
  return async (count, rate) => {
    const flags = ["--count", `${count}`, "--rate", `${rate}`, "--to", `${BEYOND}.1`];
    await source.run([process.execPath, FORWARD, ...flags], { deadlineMs: DEADLINE_MS });
  };
}
