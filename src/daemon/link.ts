/**
 * The sync link through its life: waits for an interface or address that is not there yet, opens the channel when it
 * comes, opens it again when the interface is another one or its MTU changed. Each state is logged once.
 */
import { ChannelCounters, UdpChannel } from "../channel/udp.ts";
import type { LinkConfig } from "../config/load.ts";
import { linkState } from "../kernel/addresses.ts";
import type { LinkReport } from "../report.ts";
import type { Log } from "./log.ts";

/** How often a link that is not open is tried, beside each change of addresses and links. */
const RETRY_MS = 1_000;

export class Link {
  readonly counters = new ChannelCounters();
  channel: UdpChannel | undefined;
  readonly #config: LinkConfig;
  readonly #log: Log;
  #said = "";
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(config: LinkConfig, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  get peer(): string {
    return this.#config.peer.text;
  }

  /** When `tend` should be called again, if nothing changes before. */
  get dueMs(): number {
    return this.channel === undefined ? this.#triedMs + RETRY_MS : Number.POSITIVE_INFINITY;
  }

  /** Looks at the interface. True when the channel is another one now, or gone. */
  tend(nowMs: number): boolean {
    this.#triedMs = nowMs;
    const state = linkState(this.#config.interface);
    const before = this.channel;
    if (before !== undefined) {
      if (state?.index === before.interfaceIndex && state.mtuBytes === before.mtuBytes) return false;
      before.shut();
      this.channel = undefined;
    }
    if (state === undefined)
      this.#say("warning", `waiting for the interface ${this.#config.interface}: it is not there`);
    else {
      const opened = UdpChannel.open(this.#config, state, this.counters);
      if (opened.ok) {
        this.channel = opened.value;
        const { interface: name, local, peer, port } = this.#config;
        this.#say("info", `link ${name}: ${local.text} to ${peer.text} port ${port}, MTU ${state.mtuBytes}`);
      } else this.#say("warning", opened.error);
    }
    return this.channel !== before;
  }

  report(): LinkReport {
    const { interface: name, local, peer, port } = this.#config;
    const state = linkState(name);
    return {
      interface: name,
      local: local.text,
      peer: peer.text,
      port,
      mtuBytes: state?.mtuBytes ?? 0,
      up: this.channel !== undefined && (state?.running ?? false),
    };
  }

  close(): void {
    this.channel?.shut();
    this.channel = undefined;
  }

  #say(level: "info" | "warning", text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#log[level](text);
  }
}
