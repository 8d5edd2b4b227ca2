/**
 * Losing datagrams on purpose: an nftables rule where packets enter an interface drops a random share of UDP.
 *
 * The carrier stays up and ARP gets through, as on a network that is overloaded or half broken. (`tc netem` would do the
 * same, but many kernels are built without it.)
 */
import type { Namespace } from "./namespace.ts";

export class Loss implements AsyncDisposable {
  readonly #namespace: Namespace;
  readonly #table: string;

  private constructor(namespace: Namespace, table: string) {
    this.#namespace = namespace;
    this.#table = table;
  }

  /** From now on, `percent` (1 to 100) of the UDP datagrams arriving on `interfaceName` are lost. */
  static async of(namespace: Namespace, interfaceName: string, percent: number): Promise<Loss> {
    const table = `loss_${interfaceName}`;
    const share = percent >= 100 ? "" : `numgen random mod 100 < ${percent}`;
    await namespace.nft(`table netdev ${table} {
      chain arriving {
        type filter hook ingress device "${interfaceName}" priority 0;
        meta l4proto udp ${share} counter drop
      }
    }`);
    return new Loss(namespace, table);
  }

  /** Datagrams dropped so far. */
  async lostCount(): Promise<number> {
    const rules = await this.#namespace.run(["nft", "list", "table", "netdev", this.#table]);
    return Number(/counter packets (\d+)/.exec(rules)?.[1] ?? 0);
  }

  async heal(): Promise<void> {
    await this.#namespace.nft(`delete table netdev ${this.#table}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.heal();
  }
}
