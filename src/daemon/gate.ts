/**
 * The takeover gate of this node: does in the kernel what the policy says, makes the table again when somebody flushed it
 * away, and says once what stands in its way.
 */
import { Errno, errnoName } from "../../ffi/errno.ts";
import type { Config } from "../config/load.ts";
import { KernelGate } from "../kernel/gate.ts";
import type { GateScope } from "../kernel/gate-rules.ts";
import { explain } from "../kernel/kernel-error.ts";
import { PacketLog } from "../kernel/packet-log.ts";
import type { GateReport } from "../report-roles.ts";
import { type GateAction, GatePolicy, type MuteAction, MutePolicy } from "./gate-policy.ts";
import { HeldTuples } from "./held-tuples.ts";
import type { Log } from "./log.ts";
import type { VirtualAddress } from "./virtual-addresses.ts";

export class Gate {
  readonly #policy: GatePolicy;
  readonly #mute: MutePolicy;
  readonly #kernel: KernelGate | undefined;
  readonly #log: Log;
  readonly #watchdogSeconds: number;
  #packets: PacketLog | undefined;
  #tuples: HeldTuples | undefined;
  /** Why it does not see what it holds, though it should. */
  #blind: string | null = null;
  /** Flows that takeovers' commits have taken first, since packets of theirs were held. */
  takenFirst = 0;
  #installed = false;
  #obstacle: string | null = null;
  #said = "";
  #openedMs: number | null = null;

  constructor(config: Config, virtual: readonly VirtualAddress[], log: Log) {
    const { mode, watchdogSeconds, interfaces, logGroup } = config.gate;
    this.#log = log;
    this.#watchdogSeconds = watchdogSeconds;
    const obstacle =
      mode === "off" || virtual.length > 0
        ? null
        : "no virtual addresses are known, so a takeover that nobody tells of could not be seen: " +
          "write them into keepalived.virtual_addresses";
    this.#policy = new GatePolicy(obstacle === null ? mode : "off", watchdogSeconds * 1_000);
    this.#mute = new MutePolicy(watchdogSeconds * 1_000);
    if (mode === "off") return;
    if (obstacle !== null) {
      this.#obstacle = obstacle;
      log[mode === "on" ? "warning" : "info"](`no takeover gate: ${obstacle}`);
      return;
    }
    if (logGroup > 0) this.#listen(logGroup);
    const scope = { ...scopeOf(virtual, interfaces), logGroup: this.#packets === undefined ? 0 : logGroup };
    const opened = KernelGate.open(scope, watchdogSeconds * 1_000);
    if (opened.ok) {
      this.#kernel = opened.value;
      this.#install(opened.value); // Open: what stands in its way is said now, and not at the first takeover.
    } else this.#hindered(explain(opened.error));
  }

  get dueMs(): number {
    return this.#kernel === undefined ? Number.POSITIVE_INFINITY : Math.min(this.#policy.dueMs, this.#mute.dueMs);
  }

  /** Packets that nobody knows are dropped now. */
  get isShut(): boolean {
    return this.#policy.isShut && this.#installed;
  }

  /** Of the packets that it holds; undefined: it is open, or does not see them. */
  get heldTuples(): HeldTuples | undefined {
    return this.isShut ? this.#tuples : undefined;
  }

  get counters(): { readonly asked: number; readonly unreadable: number; readonly takenFirst: number } {
    const { packets = 0, unreadable = 0 } = this.#packets ?? {};
    return { asked: packets, unreadable, takenFirst: this.takenFirst };
  }

  guard(nowMs: number): void {
    this.#policy.guard(nowMs);
  }

  take(nowMs: number): void {
    this.#do(this.#policy.take(nowMs));
  }

  /** `why` completes "the gate opens: …". */
  pass(why: string, nowMs: number): void {
    const { phase } = this.#policy;
    if (this.#do(this.#policy.pass()) && phase === "taking") {
      this.#openedMs = nowMs;
      this.#log.info(`the gate opens: ${why}; it has dropped ${packets(this.#held())}`);
    }
  }

  tick(isLive: boolean, nowMs: number): void {
    this.#policy.notice(isLive, nowMs);
    if (this.#policy.phase !== "taking") this.#tuples?.remember();
    if (this.#kernel === undefined || nowMs < this.#policy.dueMs) return;
    const { phase } = this.#policy;
    this.#do(this.#policy.look(this.#held(), isLive, nowMs));
    if (phase === "taking")
      this.#log.warning(`the gate is open after ${this.#watchdogSeconds} s, though the takeover is not through`);
    else if (this.#policy.gaveUp && phase === "guarding")
      this.#log.warning(
        "the gate opens: packets of connections that nobody knows here keep coming, though this node is not primary. " +
          "If it routes other traffic too, name the interfaces of the virtual addresses in gate.interfaces",
      );
  }

  /** `hasPeer`: one is connected, which could take the addresses before anybody tells this node. */
  mute(hasPeer: boolean, nowMs: number): void {
    if (this.#kernel !== undefined) this.#do(this.#mute.look(hasPeer, nowMs));
  }

  report(): GateReport {
    const installed = this.#kernel !== undefined && this.#installed;
    const state = this.#policy.isShut && installed ? "shut" : "open";
    return {
      state: this.#kernel === undefined || this.#obstacle !== null ? "off" : state,
      obstacle: this.#obstacle,
      blind: this.#blind,
      held: installed ? this.#held() : 0,
      mute: installed && this.#obstacle === null && this.#mute.isMute,
      unanswered: installed ? Math.max(0, this.#kernel?.unanswered() ?? 0) : 0,
      openedMs: this.#openedMs,
    };
  }

  close(): void {
    this.#kernel?.close();
    this.#packets?.close();
  }

  #listen(group: number): void {
    const opened = PacketLog.open(group);
    if (typeof opened === "number") {
      this.#blinded(
        opened === -Errno.EPERM || opened === -Errno.EBUSY
          ? `another program reads group ${group} of nfnetlink_log: name a free one in gate.log_group, or 0`
          : `the kernel does not let group ${group} of nfnetlink_log be read (${errnoName(opened)}): it needs nfnetlink_log`,
      );
      return;
    }
    this.#packets = opened;
    this.#tuples = new HeldTuples(opened);
  }

  #blinded(why: string): void {
    this.#blind = why;
    this.#log.warning(`the takeover gate does not see whose packets it holds, so no flow is committed first: ${why}`);
  }

  /** True when the kernel did it. */
  #do(action: GateAction | MuteAction): boolean {
    const kernel = this.#kernel;
    if (kernel === undefined || action === "none") return false;
    if ((action === "open" || action === "unmute") && !this.#installed) return false;
    let answer = this.#installed ? CHANGES[action](kernel) : -Errno.ENOENT;
    if (answer === -Errno.ENOENT) {
      if (this.#installed) this.#log.warning("somebody removed the gate's table: it is made again");
      if (!this.#install(kernel)) return false;
      answer = CHANGES[action](kernel);
    }
    if (answer < 0) this.#hindered(`nftables refuses to ${action} it (${errnoName(answer)})`);
    else this.#hindered(null);
    return answer === 0;
  }

  #install(kernel: KernelGate): boolean {
    const logged = kernel.logs;
    const outcome = kernel.install();
    this.#installed = outcome === "ours";
    if (logged && !kernel.logs) this.#blinded("the kernel refuses the rule that logs them: it needs nft_log");
    if (outcome === "ours") {
      const keeper = kernel.owned
        ? ""
        : "; this kernel cannot remove it should the daemon be killed, it only opens then";
      this.#log.info(`the takeover gate is table inet ctsync of nftables${keeper}`);
    } else if (outcome === "taken")
      this.#hindered("nftables has a table inet ctsync that is not ours, or another ctsync's: rename or remove it");
    else
      this.#hindered(
        `the kernel cannot make its table (${errnoName(outcome.errno)}): it needs CAP_NET_ADMIN, and nf_tables with sets, ct and objref`,
      );
    return this.#installed;
  }

  #held(): number {
    return this.#installed ? Math.max(0, this.#kernel?.held() ?? 0) : 0;
  }

  #hindered(obstacle: string | null): void {
    this.#obstacle = obstacle;
    if (obstacle === null || obstacle === this.#said) return;
    this.#said = obstacle;
    this.#log.warning(`no takeover gate: ${obstacle}`);
  }
}

const packets = (count: number): string => (count === 1 ? "1 packet" : `${count} packets`);

const CHANGES: Readonly<Record<Exclude<GateAction | MuteAction, "none">, (kernel: KernelGate) => number>> = {
  shut: (kernel) => kernel.shut(),
  open: (kernel) => kernel.unbar(),
  mute: (kernel) => kernel.mute(),
  unmute: (kernel) => kernel.unmute(),
};

function scopeOf(virtual: readonly VirtualAddress[], interfaces: readonly string[]): Omit<GateScope, "logGroup"> {
  const bytesOf = (family: 4 | 6) =>
    virtual
      .filter((address) => address.family === family)
      .map(({ words }) =>
        words.slice(0, family === 4 ? 1 : 4).flatMap((word) => [24, 16, 8, 0].map((by) => (word >>> by) & 0xff)),
      );
  return { virtual4: bytesOf(4), virtual6: bytesOf(6), interfaces };
}
