/**
 * What client and server of the failover suite say to each other, and the client to the suite.
 *
 *   frame   0   u32 number of the request, counted by the connection   both ways: the answer repeats its request
 *           4   u32 number of the connection
 *           8   filled up to FRAME_BYTES
 *
 *   push    0   u32 number of the datagram, counted by the server
 *
 * Big-endian. The bulk transfer is a stream of 32-bit numbers in the machine's order, counting up from 0.
 */
export const TALK_PORT = 7010;
export const BULK_PORT = 7011;
export const PUSH_PORT = 7012;
export const FRAME_BYTES = 64;
/**
 * The server takes so long to answer, and the client to ask again: at any moment half of the connections wait for either. By
 * chance longer or shorter, so that connections that were opened together do not share their fate.
 */
export const thinkMs = (): number => 10 + Math.random() * 30;
export const PUSH_INTERVAL_MS = 2;

/** What the client is told, one JSON document a line; to each it answers one. */
export type Order =
  | { readonly order: "open"; readonly count: number }
  | { readonly order: "watch" }
  | { readonly order: "settle"; readonly sinceMs: number; readonly deadlineMs: number }
  | { readonly order: "reset" };

/** One TCP connection since `watch`. Moments are milliseconds since 1970, as all clocks of the suite. */
export interface ConnectionReport {
  /** In the order they were opened. */
  readonly number: number;
  readonly localPort: number;
  /** It answered again and again after the moment that was asked about, every answer to its question. */
  readonly survived: boolean;
  /** Why not, as far as the client saw; "silent" when it saw nothing. */
  readonly fate: string;
  readonly longestGapMs: number;
  /** When that gap ended. */
  readonly gapEndMs: number;
}

/** The datagrams that the server pushes, or the bulk transfer. */
export interface StreamReport {
  readonly survived: boolean;
  readonly longestGapMs: number;
  readonly gapEndMs: number;
}

export interface TrafficReport {
  readonly connections: readonly ConnectionReport[];
  readonly push: StreamReport;
  readonly bulk: StreamReport;
}
