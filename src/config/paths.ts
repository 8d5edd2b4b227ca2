/** Where ctsync looks when nobody says otherwise. Apart from the schema, so that clients need not load it. */
export const DEFAULT_CONFIG_PATH = "/etc/ctsync/ctsync.toml";
export const DEFAULT_KEY_PATH = "/etc/ctsync/link.key";
export const DEFAULT_SOCKET_PATH = "/run/ctsync/ctsync.sock";

export const DEFAULT_RECORDER_PATH = "/var/lib/ctsync/timeline.ring";

/** Longest path of a unix socket: `sun_path` holds 108 bytes, the last one 0 (unix(7)). */
export const SOCKET_PATH_BYTES_MAX = 107;
