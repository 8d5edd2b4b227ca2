/**
 * Reads keepalived's notify_fifo. Whoever of the two starts first makes it: keepalived keeps it open for reading and
 * writing, so what it says while nobody reads waits in the pipe, and nothing is lost when ctsync starts later.
 *
 * keepalived removes a fifo that it made when it stops, and makes another; so the path is looked at every second, and at
 * once when the last writer has gone. A descriptor of our own epoll set stands for all of this: it stays the same.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { EPOLLIN, Epoll } from "../../ffi/epoll.ts";
import { errnoName } from "../../ffi/errno.ts";
import { makeFifo } from "../../ffi/libc.ts";
import { FifoLines, type FifoWord } from "./fifo-words.ts";
import type { Log } from "./log.ts";

const LOOK_MS = 1_000;
const READ_BYTES = 4_096;
/** keepalived may start later than this node's daemon, and restart; who has not come then is missed. */
const MISSED_MS = 10_000;
/** No turn reads more. */
const READS_MAX = 16;

export class NotifyFifo {
  readonly #set = new Epoll(1);
  readonly #path: string;
  readonly #log: Log;
  readonly #lines = new FifoLines();
  readonly #bytes = Buffer.alloc(READ_BYTES);
  #fd = -1;
  #lookMs = 0;
  #said = "";
  /** Since when nobody has it open for writing; none: somebody has. */
  #aloneMs: number | undefined;
  #isMissed = false;
  words = 0;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Readable when there are words, or keepalived has gone. */
  get fd(): number {
    return this.#set.fd;
  }

  get dueMs(): number {
    return this.#lookMs;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  get hasWriter(): boolean {
    return this.isOpen && this.#aloneMs === undefined;
  }

  /** Lines that were no words of keepalived's. */
  get skipped(): number {
    return this.#lines.skipped;
  }

  /** Everything that was said since the last call, in order. */
  read(nowMs: number): FifoWord[] {
    if (nowMs >= this.#lookMs) this.#look(nowMs);
    const words: FifoWord[] = [];
    for (let i = 0; i < READS_MAX && this.#fd >= 0; i++) {
      const count = this.#readOnce();
      if (count === 0) {
        // The last writer has gone; the next one may come by another fifo of this name.
        this.#close();
        this.#look(nowMs);
        this.#miss(nowMs);
        break;
      }
      this.#aloneMs = undefined;
      this.#isMissed = false;
      if (count < 0) break;
      words.push(...this.#lines.take(this.#bytes.toString("latin1", 0, count)));
    }
    if (this.#fd < 0) this.#miss(nowMs);
    this.words += words.length;
    return words;
  }

  close(): void {
    this.#close();
    this.#set.close();
  }

  /** -1: nothing waits. */
  #readOnce(): number {
    try {
      return readSync(this.#fd, this.#bytes, 0, READ_BYTES, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN" || code === "EINTR") return -1;
      this.#say("warning", `cannot read keepalived's fifo ${this.#path}: ${code}`);
      return 0;
    }
  }

  /** Opens the fifo, or another one that has taken its place. */
  #look(nowMs: number): void {
    this.#lookMs = nowMs + LOOK_MS;
    if (this.#fd >= 0) {
      if (isSameFile(this.#fd, this.#path)) return;
      if (this.#readOnceMore()) return; // What the old one still holds comes first.
      this.#close();
    }
    try {
      this.#open();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT") {
        this.#say("warning", `cannot open keepalived's fifo ${this.#path}: ${code}`);
        return;
      }
      const made = makeFifo(this.#path);
      if (made < 0)
        this.#say("info", `waiting for keepalived to make its fifo ${this.#path} (we cannot: ${errnoName(made)})`);
      else this.#lookMs = nowMs;
    }
  }

  /** Replication goes on, and the role is known by the notify command and the addresses alone. */
  #miss(nowMs: number): void {
    this.#aloneMs ??= nowMs;
    if (this.#isMissed || nowMs - this.#aloneMs < MISSED_MS) return;
    this.#isMissed = true;
    this.#log.warning(
      `nobody writes to keepalived's fifo ${this.#path}: keepalived does not run, or its vrrp_notify_fifo is another path`,
    );
  }

  #readOnceMore(): boolean {
    const poll = new Epoll(1);
    poll.add(this.#fd, 1, EPOLLIN);
    const waits = poll.wait(0) > 0 && (poll.events(0) & EPOLLIN) !== 0;
    poll.close();
    return waits;
  }

  #open(): void {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFIFO()) {
      closeSync(fd);
      this.#say("warning", `${this.#path} is no fifo: keepalived cannot speak by it`);
      return;
    }
    this.#fd = fd;
    this.#lines.forget();
    this.#set.add(fd, 1, EPOLLIN);
    this.#say("info", `listens to keepalived on ${this.#path}`);
  }

  #close(): void {
    if (this.#fd < 0) return;
    this.#set.remove(this.#fd);
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #say(level: "info" | "warning", text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#log[level](text);
  }
}

function isSameFile(fd: number, path: string): boolean {
  try {
    const [open, named] = [fstatSync(fd), statSync(path)];
    return open.ino === named.ino && open.dev === named.dev;
  } catch {
    return false;
  }
}
