/** A way to one peer, as the loop and the replica see it: datagrams to it, and those that are its own. */
import type { Outbound } from "../replica.ts";

export interface Channel extends Outbound {
  readonly fd: number;
  readonly interfaceIndex: number;
  readonly mtuBytes: number;
  /** Datagrams received, at most so many, valid until the next call; of each, ask `isPeers` first. */
  receive(datagramsMax: number): number;
  readonly received: DataView;
  /** Whether datagram i is the peer's, to be read at `offset` and `lengthOf`; any other is counted. Ask once. */
  isPeers(i: number, nowMs: number): boolean;
  offset(i: number): number;
  lengthOf(i: number): number;
  /** Hands the filled datagrams to the kernel. False when its buffer is full: they wait, call again when `fd` is writable. */
  flush(): boolean;
  /** Datagrams that the kernel dropped because our receive buffer was full. */
  readonly drops: number;
  /** When `tick` has something to do. */
  readonly dueMs: number;
  tick(nowMs: number): void;
  shut(): void;
}
