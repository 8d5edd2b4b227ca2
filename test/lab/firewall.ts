/**
 * One of the two firewalls: a Linux machine with three interfaces, stateful iptables rules and keepalived.
 *
 * It can lose its power and boot again. TCP is tracked strictly (no pick-up of flows in their middle, no liberal
 * windows), so a firewall without the flow's state really breaks the connection.
 */
import { flushConntrack } from "./conntrack.ts";
import { type KeepalivedSettings, startKeepalived } from "./keepalived.ts";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { until } from "./until.ts";

interface Side {
  readonly interface: string;
  readonly networkIpv4: string; // first three bytes of the /24
  readonly networkIpv6: string; // first half of the /64
  readonly virtualIpv4: string;
  readonly virtualIpv6: string;
}

function side(interfaceName: string, networkIpv4: string, networkIpv6: string): Side {
  const virtual = { virtualIpv4: `${networkIpv4}.1`, virtualIpv6: `${networkIpv6}::1` };
  return { interface: interfaceName, networkIpv4, networkIpv6, ...virtual };
}

export const INSIDE = side("eth0", "192.168.10", "fd00:10:0:0");
export const OUTSIDE = side("eth1", "203.0.113", "2001:db8:b:0");
/** All that keepalived moves, both families. */
export const VIRTUAL_ADDRESSES = [INSIDE, OUTSIDE].flatMap((side) => [side.virtualIpv4, side.virtualIpv6]);
export const SYNC = { interface: "eth2", networkIpv4: "10.0.9", networkIpv6: "fd00:9:0:0" } as const;

export interface FirewallSettings {
  readonly number: 1 | 2;
  readonly priority: number; // VRRP's
  readonly advertSeconds: number;
  readonly forwardRules: readonly string[];
  readonly inputInvalid: InputInvalid;
}

/**
 * What becomes of a packet for a virtual address that no flow is known of. Dropped, its sender sends it again; answered, as a
 * firewall does whose INPUT chain accepts what is addressed to it, the kernel resets the connection.
 */
export type InputInvalid = "drop" | "answer";

const INTERFACES = [INSIDE.interface, OUTSIDE.interface, SYNC.interface];
const START_DEADLINE_MS = 10_000;
const TAKEOVER_DEADLINE_MS = 15_000;

export class Firewall {
  readonly namespace: Namespace;
  /** Starts each kernel log line about a packet in state INVALID on this firewall. */
  readonly invalidLogPrefix: string;
  readonly #settings: FirewallSettings;
  #isCut = false;

  constructor(namespace: Namespace, settings: FirewallSettings) {
    this.namespace = namespace;
    this.invalidLogPrefix = `${namespace.realName} INVALID: `; // iptables allows 29 characters.
    this.#settings = settings;
  }

  /** Own address on the sync link, and the other firewall's. */
  get syncAddress(): string {
    return `${SYNC.networkIpv4}.${this.#settings.number}`;
  }

  get peerSyncAddress(): string {
    return `${SYNC.networkIpv4}.${3 - this.#settings.number}`;
  }

  /** Its own addresses, inside and outside: those it advertises from. */
  get ownIpv4(): string[] {
    return [INSIDE, OUTSIDE].map(({ networkIpv4 }) => `${networkIpv4}.${this.#settings.number + 1}`);
  }

  /** As after power on: own addresses only, rules loaded, an empty conntrack table, nothing running. */
  async boot(): Promise<void> {
    const host = this.#settings.number + 1; // .1 is the virtual address
    const addresses = [
      ...[INSIDE, OUTSIDE].flatMap(({ interface: dev, networkIpv4, networkIpv6 }) => [
        `address add ${networkIpv4}.${host}/24 dev ${dev}`,
        `address add ${networkIpv6}::${host}/64 dev ${dev} nodad`,
      ]),
      `address add ${this.syncAddress}/24 dev ${SYNC.interface}`,
      `address add ${SYNC.networkIpv6}::${this.#settings.number}/64 dev ${SYNC.interface} nodad`,
    ];
    await this.namespace.sysctl({
      "net.ipv4.ip_forward": 1,
      "net.ipv6.conf.all.forwarding": 1,
      "net.netfilter.nf_conntrack_tcp_loose": 0,
      "net.netfilter.nf_conntrack_tcp_be_liberal": 0,
    });
    if (this.#isCut) await this.namespace.nft("delete table netdev cut");
    this.#isCut = false;
    await this.namespace.ip(
      ...INTERFACES.map((dev) => `address flush dev ${dev} scope global`),
      ...INTERFACES.map((dev) => `link set dev ${dev} up`),
      ...addresses,
    );
    await this.namespace.run(["iptables-restore"], { stdin: this.#rules() + this.#natRules() });
    await this.namespace.run(["ip6tables-restore"], { stdin: this.#rules() });
    await flushConntrack(this.namespace);
  }

  /** All its cables go dead in the same moment: nothing that it says is heard any more, and it hears nothing. */
  async cut(): Promise<void> {
    if (this.#isCut) return;
    this.#isCut = true;
    const chain = (hook: string): string =>
      `chain ${hook} { type filter hook ${hook} devices = { ${INTERFACES.join(", ")} } priority 0; policy drop; }`;
    await this.namespace.nft(`table netdev cut {\n${chain("ingress")}\n${chain("egress")}\n}`);
  }

  /** Loses power: its cables go dead, then every process is gone. Nothing says farewell to anybody. */
  async die(): Promise<void> {
    await this.cut();
    await this.namespace.ip(...INTERFACES.map((dev) => `link set dev ${dev} down`));
    await this.namespace.killAll();
  }

  /** Starts keepalived and returns once it is BACKUP, as it always is first. `notify` is called at each transition, with keepalived's own arguments appended. */
  async startKeepalived(
    options: Omit<KeepalivedSettings, "priority" | "advertSeconds" | "virtual"> = {},
  ): Promise<LabProcess> {
    const virtual = (at: Side, router: number) => ({
      interface: at.interface,
      router,
      ipv4: `${at.virtualIpv4}/24`,
      ipv6: `${at.virtualIpv6}/64`,
    });
    const { priority, advertSeconds } = this.#settings;
    const keepalived = await startKeepalived(this.namespace, {
      ...{ priority, advertSeconds, ...options },
      virtual: { INSIDE: virtual(INSIDE, 51), OUTSIDE: virtual(OUTSIDE, 52) },
    });
    for (const name of ["INSIDE", "OUTSIDE"]) {
      await keepalived.waitForLine(new RegExp(`\\(${name}\\) Entering BACKUP STATE`), START_DEADLINE_MS);
    }
    return keepalived;
  }

  /** True while both virtual IPv4 addresses are here. */
  async isPrimary(): Promise<boolean> {
    const addresses = await this.namespace.run(["ip", "-4", "-brief", "address"]);
    return [INSIDE, OUTSIDE].every((at) => addresses.includes(` ${at.virtualIpv4}/24`));
  }

  async becomesPrimary(deadlineMs = TAKEOVER_DEADLINE_MS): Promise<void> {
    await until(() => this.isPrimary(), deadlineMs, `${this.namespace.name} holds the virtual addresses`);
  }

  async becomesBackup(deadlineMs = TAKEOVER_DEADLINE_MS): Promise<void> {
    await until(async () => !(await this.isPrimary()), deadlineMs, `${this.namespace.name} gives the addresses up`);
  }

  /** Packets in state INVALID that the rules logged since boot, both families. */
  async invalidCount(): Promise<number> {
    let count = 0;
    for (const save of ["iptables-save", "ip6tables-save"]) {
      const rules = await this.namespace.run([save, "-c", "-t", "filter"]);
      for (const [, packets] of rules.matchAll(/^\[(\d+):\d+\] -A (?:INVALID|ANSWERED) -j LOG/gm))
        count += Number(packets);
    }
    return count;
  }

  /** The same filter for both families. Where INPUT does not refuse INVALID too, the kernel answers it with a reset. */
  #rules(): string {
    const { forwardRules, inputInvalid } = this.#settings;
    return `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:INVALID - [0:0]
:ANSWERED - [0:0]
-A INPUT -m conntrack --ctstate INVALID -j ${inputInvalid === "drop" ? "INVALID" : "ANSWERED"}
-A FORWARD -m conntrack --ctstate INVALID -j INVALID
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i ${INSIDE.interface} -p tcp --syn -m conntrack --ctstate NEW -j ACCEPT
${forwardRules.map((rule) => `-A FORWARD ${rule}\n`).join("")}\
-A ANSWERED -j LOG --log-prefix "${this.invalidLogPrefix}"
-A INVALID -j LOG --log-prefix "${this.invalidLogPrefix}"
-A INVALID -j DROP
COMMIT
`;
  }

  #natRules(): string {
    return `*nat
-A POSTROUTING -s ${INSIDE.networkIpv4}.0/24 -o ${OUTSIDE.interface} -j SNAT --to-source ${OUTSIDE.virtualIpv4}
COMMIT
`;
  }
}
