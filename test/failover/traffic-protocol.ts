/**
 * What clients and servers of the failover suite say to each other, and the clients to the suite.
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
export const TALK_IPV6_PORT = 7011;
export const BULK_PORT = 7012;
/** Datagrams that the server sends to a client that says nothing; datagrams that it sends back. */
export const PUSH_PORT = 7013;
export const ECHO_PORT = 7014;
/** Connections that are opened in the very moment of a failure have a port of their own, so that nobody counts them with the others. */
export const LATE_PORT = 7015;
/** At the virtual address outside, from where it is translated to the inside's TALK_PORT. */
export const INBOUND_PORT = 7016;
/** Where the FTP server has clients fetch a file, and where a client has the server bring it. */
export const FTP_PASSIVE_PORT = 30_000;
export const FTP_ACTIVE_PORT = 31_000;
export const FTP_PORTS = 1_000;

export const FRAME_BYTES = 64;
/**
 * The server takes so long to answer, and the client to ask again: at any moment half of the connections wait for either. By
 * chance longer or shorter, so that connections that were opened together do not share their fate.
 */
export const thinkMs = (): number => 10 + Math.random() * 30;
export const PUSH_INTERVAL_MS = 2;

/** Kinds of traffic that the clients make: `late` are connections opened in the last moment. */
export type ClientKind = "talk" | "ipv6" | "inbound" | "bulk" | "push" | "udp" | "ftp" | "ftp-active" | "late";
export type Wanted = Readonly<Partial<Record<ClientKind, number>>>;

/** What a client is told, one JSON document a line; to each it answers one. */
export type Order =
  /** So many of each kind are to be alive: the dead are cleared away, and what is missing is opened. */
  | { readonly order: "open"; readonly wanted: Wanted }
  | { readonly order: "watch" }
  /** Two new connections a millisecond, from now on until told to stop. */
  | { readonly order: "burst" }
  | { readonly order: "hush" }
  /** What has not gone on by its deadline is dead; the late ones, many of which may be, have their own. */
  | {
      readonly order: "settle";
      readonly sinceMs: number;
      readonly deadlineMs: number;
      readonly lateDeadlineMs: number;
    }
  /** What is used but once is used now, and has to go on by the deadline. */
  | { readonly order: "prove"; readonly deadlineMs: number }
  | { readonly order: "reset" };

/** One connection since `watch`. Moments are milliseconds since 1970, as all clocks of the suite. */
export interface ConnectionReport {
  readonly kind: ClientKind;
  /** In the order they were opened. */
  readonly number: number;
  readonly localPort: number;
  /** When it stood. */
  readonly openedMs: number;
  /** It went on after the moment that was asked about, every answer to its question. */
  readonly survived: boolean;
  /** Why not, as far as the client saw; "silent" when it saw nothing. */
  readonly fate: string;
  readonly longestGapMs: number;
  /** When that gap ended. */
  readonly gapEndMs: number;
}
