/** Bounds and defaults of every number in the configuration; the unit is the last word of each name. */
export interface Limit {
  readonly min: number;
  readonly max: number;
  readonly standard: number;
}

/** Flows each of the two caches can hold; their memory grows as they fill. */
export const FLOWS_MAX: Limit = { min: 16, max: 16_777_216, standard: 1_048_576 };

/** Expectations each of the two caches holds: four times what the kernel itself allows by default. */
export const EXPECTATIONS_MAX = 16_384;

/** Messages kept for the peer until it acknowledges them. */
export const RESEND_QUEUE_MESSAGES: Limit = { min: 16, max: 16_777_216, standard: 131_072 };

/** Messages received before an acknowledgement is due, however busy the link; with 1, two nodes would acknowledge for ever. */
export const ACK_WINDOW_MESSAGES: Limit = { min: 2, max: 65_535, standard: 300 };

/**
 * What `reset-timers` shortens the kernel's timers to, and how long flows are kept that a peer does not name any more when
 * it is asked for all it has.
 */
export const PURGE_TIMEOUT_SECONDS: Limit = { min: 1, max: 86_400, standard: 60 };

/** How often the kernel's table is compared with the internal cache; 0: never. */
export const AUDIT_SECONDS: Limit = { min: 0, max: 86_400, standard: 60 };

export const PORT: Limit = { min: 1, max: 65_535, standard: 3780 };

/**
 * Socket buffers. The kernel doubles what it is asked for and keeps it in a signed 32-bit number (SO_RCVBUFFORCE,
 * socket(7)), hence the highest value; below the lowest one not even a handful of full messages fits.
 */
const SOCKET_BUFFER_MAX_BYTES = 1_073_741_823;
export const NETLINK_BUFFER_BYTES: Limit = { min: 65_536, max: SOCKET_BUFFER_MAX_BYTES, standard: 16_777_216 };
export const NETLINK_BUFFER_MAX_BYTES: Limit = { min: 65_536, max: SOCKET_BUFFER_MAX_BYTES, standard: 134_217_728 };

/** Real-time priority (SCHED_RR) of the daemon's loop; 0: an ordinary process. */
export const REALTIME_PRIORITY: Limit = { min: 0, max: 99, standard: 1 };

/** The flight recorder's ring: 256 bytes a record, some 20 records a failover. */
export const RECORDER_SIZE_BYTES: Limit = { min: 65_536, max: 67_108_864, standard: 1_048_576 };

/** How long an event may wait until others have gathered, once there are many; 0: each is read as it comes. */
export const NETLINK_GATHER_MS: Limit = { min: 0, max: 100, standard: 2 };
export const LINK_BUFFER_BYTES: Limit = { min: 65_536, max: SOCKET_BUFFER_MAX_BYTES, standard: 8_388_608 };

/** How long the takeover gate stays shut at most: after a takeover has begun, and after the daemon has stopped answering. */
export const GATE_WATCHDOG_SECONDS: Limit = { min: 1, max: 300, standard: 10 };
/** Group of nfnetlink_log by which the daemon hears what the gate holds; 0: none. */
export const GATE_LOG_GROUP: Limit = { min: 0, max: 65_535, standard: 3_780 };
