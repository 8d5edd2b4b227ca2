/**
 * The sync link through its life: waits for an interface or address that is not there yet, opens the channel when it
 * comes, opens it again when the interface is another one or its MTU changed. Each state is logged once.
 */
import type { Channel } from "../channel/channel.ts";
import { ChannelCounters } from "../channel/counters.ts";
import { Seal } from "../channel/seal.ts";
import { SealedChannel } from "../channel/sealed.ts";
import { UdpChannel } from "../channel/udp.ts";
import type { LinkKeys } from "../config/link-key.ts";
import type { LinkConfig } from "../config/load.ts";
import { linkState } from "../kernel/addresses.ts";
import type { LinkReport, SealReport } from "../report.ts";
import type { Log } from "./log.ts";
import { Refusals } from "./refusals.ts";
import { SealNews, sessionText } from "./seal-news.ts";

/** How often a link that is not open is tried, beside each change of addresses and links. */
const RETRY_MS = 1_000;

export class Link {
  readonly counters = new ChannelCounters();
  channel: Channel | undefined;
  /** Undefined: the link has no key. It outlives channels: sessions go on when the interface comes back. */
  readonly seal: Seal | undefined;
  readonly refusals = new Refusals();
  readonly #news: SealNews | undefined;
  readonly #config: LinkConfig;
  readonly #log: Log;
  #said = "";
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(config: LinkConfig, keys: LinkKeys | undefined, log: Log) {
    this.#config = config;
    this.#log = log;
    if (keys !== undefined) {
      this.seal = new Seal(keys, this.counters);
      this.#news = new SealNews(this.seal, this.counters, config.peer.text, log);
    }
  }

  /** The link has a key, so whoever is heard on it is a ctsync. */
  get sealed(): boolean {
    return this.seal !== undefined;
  }

  /** What is put into the channel can go out: waiting for anything to be sent is waiting for this. */
  get maySend(): boolean {
    return this.channel !== undefined && this.channel.room > 1;
  }

  get peer(): string {
    return this.#config.peer.text;
  }

  /** When `tend` should be called again, if nothing changes before. */
  get dueMs(): number {
    return this.channel === undefined ? this.#triedMs + RETRY_MS : this.channel.dueMs;
  }

  /** Greets the peer where that is due, and looks at the interface. True when the channel is another one now, or gone. */
  tend(nowMs: number): boolean {
    this.#triedMs = nowMs;
    const state = linkState(this.#config.interface);
    const before = this.channel;
    if (before !== undefined) {
      if (state?.index === before.interfaceIndex && state.mtuBytes === before.mtuBytes) {
        before.tick(nowMs);
        this.#news?.look();
        this.refusals.look(this.counters, nowMs);
        return false;
      }
      before.shut();
      this.channel = undefined;
    }
    if (state === undefined)
      this.#say("warning", `waiting for the interface ${this.#config.interface}: it is not there`);
    else {
      const opened = UdpChannel.open(this.#config, state, this.counters);
      if (opened.ok) {
        this.channel = this.seal === undefined ? opened.value : new SealedChannel(opened.value, this.seal);
        const { interface: name, local, peer, port } = this.#config;
        const how = this.seal === undefined ? "open (no key)" : `sealed with key ${this.seal.key}`;
        this.#say("info", `link ${name}: ${local.text} to ${peer.text} port ${port}, ${how}, MTU ${state.mtuBytes}`);
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
      seal: this.seal === undefined ? null : sealReport(this.seal),
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

function sealReport({ key, accepted, peerKey, ready, handshake }: Seal): SealReport {
  const { session, peerSession, established } = handshake;
  return {
    key,
    accepted,
    peerKey: peerKey ?? null,
    session: sessionText(session),
    peerSession: established ? sessionText(peerSession) : null,
    ready,
  };
}
