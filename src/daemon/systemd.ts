/** Tells systemd how we are (Type=notify, WatchdogSec=). Source: sd_notify(3). Without systemd all of it does nothing. */
import { close } from "../../ffi/libc.ts";
import { openSocket, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_UNIX, type SocketAddress, unixAddress } from "../../ffi/socket-address.ts";

export class Systemd {
  readonly #address: SocketAddress | undefined;
  readonly #fd: number;
  /** How often systemd wants to hear of us; Infinity when it does not. */
  readonly watchdogMs: number;
  #heardMs = 0;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    const path = env.NOTIFY_SOCKET;
    this.#address = path === undefined ? undefined : unixAddress(path);
    this.#fd = this.#address === undefined ? -1 : openSocket(AF_UNIX, SOCK_DGRAM, 0);
    const watchdogMicroseconds = Number(env.WATCHDOG_USEC ?? Number.NaN);
    this.watchdogMs = watchdogMicroseconds > 0 ? watchdogMicroseconds / 2_000 : Number.POSITIVE_INFINITY;
  }

  ready(): void {
    this.#say("READY=1");
  }

  stopping(): void {
    this.#say("STOPPING=1");
    if (this.#fd >= 0) close(this.#fd);
  }

  /** When `alive` has to be called again. */
  get dueMs(): number {
    return this.#heardMs + this.watchdogMs;
  }

  /** The loop turned. */
  alive(nowMs: number): void {
    if (nowMs - this.#heardMs < this.watchdogMs) return;
    this.#heardMs = nowMs;
    this.#say("WATCHDOG=1");
  }

  #say(state: string): void {
    if (this.#address === undefined || this.#fd < 0) return;
    const bytes = new TextEncoder().encode(state);
    sendTo(this.#fd, bytes, bytes.length, this.#address);
  }
}
