/**
 * epoll: waiting for many descriptors at once. Signatures: sys/epoll.h.
 *
 * `epoll_pwait2` waits in nanoseconds (Linux 5.11). Older C libraries have no name for it, so it goes by its number, which
 * is the same everywhere; a kernel without it is asked in whole milliseconds.
 *
 *   struct epoll_event   u32 events, u64 data (we use its low word: the tag), little-endian
 *                        packed into 12 bytes on x86-64, data at 4; 16 bytes with data at 8 elsewhere
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Errno, errnoText, negative } from "./errno.ts";
import { close } from "./libc.ts";
import { load } from "./load.ts";
import { addressOf, pinned } from "./memory.ts";

const c = load("libc.so.6", "libc6", {
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  syscall: { args: ["i64_fast", "i32", "ptr", "i32", "ptr", "ptr", "i64_fast"], returns: "i64_fast" },
});

/** asm-generic/unistd.h, and x86-64's table. */
const SYS_EPOLL_PWAIT2 = 441;
const TIMESPEC_BYTES = 16;

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;

const EVENT_BYTES = process.arch === "x64" ? 12 : 16;
const TAG_AT = process.arch === "x64" ? 4 : 8;

/** A set of descriptors, each under a tag (a number below 2^32) the caller chose. Level-triggered. */
export class Epoll {
  readonly fd: number;
  readonly #eventsMax: number;
  /** One slot more than can be reported: the last one is `epoll_ctl`'s argument. */
  readonly #events: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #address;
  readonly #argument;
  readonly #timespec = pinned(TIMESPEC_BYTES);
  readonly #timespecView = new DataView(this.#timespec.buffer);
  readonly #timespecAddress = addressOf(this.#timespec);
  #nanoseconds = true;

  constructor(eventsMax = 16) {
    this.fd = negative(c.epoll_create1(EPOLL_CLOEXEC));
    if (this.fd < 0) throw new Error(`epoll_create1: ${errnoText(this.fd)}`);
    this.#eventsMax = eventsMax;
    this.#events = pinned((eventsMax + 1) * EVENT_BYTES);
    this.#view = new DataView(this.#events.buffer);
    this.#address = addressOf(this.#events);
    this.#argument = addressOf(this.#events, eventsMax * EVENT_BYTES);
  }

  add(fd: number, tag: number, events = EPOLLIN): number {
    return this.#control(EPOLL_CTL_ADD, fd, tag, events);
  }

  modify(fd: number, tag: number, events: number): number {
    return this.#control(EPOLL_CTL_MOD, fd, tag, events);
  }

  remove(fd: number): number {
    return this.#control(EPOLL_CTL_DEL, fd, 0, 0);
  }

  /** How many descriptors are ready: 0 after the time, which may have a fraction, or a signal. Valid until the next. */
  wait(timeoutMs: number): number {
    let count = -Errno.ENOSYS;
    if (this.#nanoseconds && timeoutMs > 0) {
      const seconds = Math.floor(timeoutMs / 1_000);
      this.#timespecView.setUint32(0, seconds, true);
      this.#timespecView.setUint32(8, (timeoutMs - seconds * 1_000) * 1e6, true);
      count = negative(
        c.syscall(SYS_EPOLL_PWAIT2, this.fd, this.#address, this.#eventsMax, this.#timespecAddress, null, 8),
      );
      this.#nanoseconds = count !== -Errno.ENOSYS;
    }
    if (count === -Errno.ENOSYS)
      count = negative(c.epoll_wait(this.fd, this.#address, this.#eventsMax, Math.ceil(timeoutMs)));
    return count === -Errno.EINTR ? 0 : count;
  }

  tag(i: number): number {
    return this.#view.getUint32(i * EVENT_BYTES + TAG_AT, true);
  }

  /** EPOLLIN, EPOLLOUT, and the two the kernel always reports: EPOLLERR (8), EPOLLHUP (16). */
  events(i: number): number {
    return this.#view.getUint32(i * EVENT_BYTES, true);
  }

  close(): void {
    close(this.fd);
  }

  #control(operation: number, fd: number, tag: number, events: number): number {
    const at = this.#eventsMax * EVENT_BYTES;
    this.#view.setUint32(at, events, true);
    this.#view.setUint32(at + TAG_AT, tag, true);
    return negative(c.epoll_ctl(this.fd, operation, fd, this.#argument));
  }
}

/**
 * The epoll descriptor of Bun's own loop, or -1. Nested in an `Epoll` it turns readable when Bun has work; one
 * `setImmediate` then lets Bun do it.
 *
 * A process may hold several (a spawn makes one, `bun test` too), so Bun is given a listener for a moment: its set is
 * the one that grows. Source: proc(5), /proc/pid/fdinfo, one line `tfd:` for each descriptor of an epoll set.
 */
export function bunEpollFd(): number {
  const before = watchedCounts();
  const listener = Bun.listen({ unix: `\0ctsync-loop-${process.pid}`, socket: { data: () => {} } });
  const after = watchedCounts();
  listener.stop(true);
  for (const [fd, count] of after) {
    if (count > (before.get(fd) ?? count)) return fd;
  }
  return -1;
}

/** Epoll descriptors of this process, each with how many descriptors it watches. */
function watchedCounts(): Map<number, number> {
  const counts = new Map<number, number>();
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== "anon_inode:[eventpoll]") continue;
      counts.set(Number(fd), readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").match(/^tfd:/gm)?.length ?? 0);
    } catch {
      // The descriptor that listed the directory: closed by now.
    }
  }
  return counts;
}
