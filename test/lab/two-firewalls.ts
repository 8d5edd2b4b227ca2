/**
 * The founding topology: two firewalls between host A and host B, one of them primary.
 *
 *      A ── inside switch ──┬── FW1 ──┬── outside switch ── B
 *                           │    ┃    │
 *                           └── FW2 ──┘       ┃ = sync link
 *
 * keepalived moves a virtual address on each side: A's gateway inside, and outside the address that A's IPv4
 * connections are translated to. IPv6 is forwarded as it is, its virtual addresses move along.
 */
import { Firewall, INSIDE, type InputInvalid, OUTSIDE } from "./firewall.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

export const A = { ipv4: "192.168.10.10", ipv6: "fd00:10::10" } as const;
export const B = { ipv4: "203.0.113.50", ipv6: "2001:db8:b::50" } as const;

export interface TwoFirewallsOptions {
  /** Time between two VRRP advertisements; the backup takes over after three of them and a little are missing. */
  readonly advertSeconds?: number;
  /** More rules for the FORWARD chain of both families, in iptables' words: what else may pass than TCP from A's side. */
  readonly forwardRules?: readonly string[];
  /** As the README's rules have it unless said otherwise: dropped. */
  readonly inputInvalid?: InputInvalid;
}

export interface TwoFirewalls {
  readonly a: Namespace;
  readonly b: Namespace;
  readonly fw1: Firewall; // the higher priority: primary whenever it is there
  readonly fw2: Firewall;
}

/** Builds hosts, switches and both firewalls, booted; keepalived is not started. */
export async function buildTwoFirewalls(lab: Lab, options: TwoFirewallsOptions = {}): Promise<TwoFirewalls> {
  lab.machineSysctl("net.netfilter.nf_log_all_netns", 1); // Else LOG is silent in a namespace.
  const insideSwitch = await lab.bridge("inside");
  const outsideSwitch = await lab.bridge("outside");
  const a = await lab.namespace("a");
  const b = await lab.namespace("b");
  const addresses = (host: typeof A | typeof B) => [`${host.ipv4}/24`, `${host.ipv6}/64`];
  await lab.plug({ namespace: a, interface: "eth0", addresses: addresses(A) }, insideSwitch);
  await lab.plug({ namespace: b, interface: "eth0", addresses: addresses(B) }, outsideSwitch);

  const { advertSeconds = 0.2, forwardRules = [], inputInvalid = "drop" } = options;
  const shared = { advertSeconds, forwardRules, inputInvalid };
  const fw1 = new Firewall(await lab.namespace("fw1"), { ...shared, number: 1, priority: 150 });
  const fw2 = new Firewall(await lab.namespace("fw2"), { ...shared, number: 2, priority: 100 });
  for (const { namespace } of [fw1, fw2]) {
    await lab.plug({ namespace, interface: INSIDE.interface }, insideSwitch);
    await lab.plug({ namespace, interface: OUTSIDE.interface }, outsideSwitch);
  }
  await lab.link({ namespace: fw1.namespace, interface: "eth2" }, { namespace: fw2.namespace, interface: "eth2" });
  await fw1.boot();
  await fw2.boot();

  await a.ip(`route add default via ${INSIDE.virtualIpv4}`, `route add default via ${INSIDE.virtualIpv6}`);
  await b.ip(`route add ${INSIDE.networkIpv6}::/64 via ${OUTSIDE.virtualIpv6}`);
  return { a, b, fw1, fw2 };
}
