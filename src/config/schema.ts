/**
 * The configuration: its keys, their defaults and their rules.
 *
 * TOML keys are snake_case with the unit last; the resolved `Config` has the same names in camelCase, with every default
 * filled in. Each message names the rule; `explain.ts` puts the file and the path before it and the value found after it.
 */
import * as v from "valibot";
import { type Address, type Cidr, parseAddress, parseCidr, unfitForLink } from "./address.ts";
import * as limits from "./limits.ts";
import { DEFAULT_RECORDER_PATH, DEFAULT_SOCKET_PATH, SOCKET_PATH_BYTES_MAX } from "./paths.ts";

/**
 * A table; `missing` says what to write for keys without a default. Unknown keys pass here: `unknown-keys.ts` reports
 * all of them with the nearest known one, where valibot's own strict object stops at the first.
 */
function table<const T extends v.ObjectEntries>(entries: T, missing: { readonly [K in keyof T]?: string } = {}) {
  return v.looseObject(entries, (issue) => {
    if (issue.expected === "Object") return "expected a table";
    return `is missing: ${missing[issue.path?.at(-1)?.key as keyof T] ?? "it has no default"}`;
  });
}

function wholeNumber(limit: limits.Limit, rule?: string) {
  const text = rule ?? `expected a whole number from ${limit.min} to ${limit.max}`;
  const within = (value: number): boolean => Number.isInteger(value) && value >= limit.min && value <= limit.max;
  return v.optional(v.pipe(v.number(text), v.check(within, text)), limit.standard);
}

/** A number that may have a fraction. */
function number({ min, max, standard }: limits.Limit) {
  const text = `expected a number from ${min} to ${max}`;
  return v.optional(v.pipe(v.number(text), v.minValue(min, text), v.maxValue(max, text)), standard);
}

/** Text that `parse` turns into a value, or refuses with the reason. */
function parsedText<T>(expected: string, parse: (text: string) => { value: T } | { error: string }) {
  return v.pipe(
    v.string(expected),
    v.rawTransform(({ dataset, addIssue, NEVER }): T => {
      const parsed = parse(dataset.value);
      if ("value" in parsed) return parsed.value;
      addIssue({ message: parsed.error });
      return NEVER;
    }),
  );
}

const endAddress = parsedText<Address>('expected an IPv4 or IPv6 address in quotes, such as "10.0.9.1"', (text) => {
  const parsed = parseAddress(text);
  if (!parsed.ok) return parsed;
  const error = unfitForLink(parsed.value);
  return error === undefined ? parsed : { error };
});

const ignoredAddress = parsedText<Cidr>('expected an address or network in quotes, such as "192.0.2.0/24"', parseCidr);

/** As the kernel's dev_valid_name() has it. */
const isInterfaceName = (name: string): boolean =>
  Buffer.byteLength(name) <= 15 && /^[^\s/:\0]+$/.test(name) && name !== "." && name !== "..";

const interfaceName = v.pipe(
  v.string('expected an interface name in quotes, such as "eth2"'),
  v.check(isInterfaceName, "interface names have 1 to 15 bytes without blanks, slashes and colons"),
);

const socketPath = v.pipe(
  v.string("expected a path in quotes"),
  v.check((path) => path.startsWith("/") && !path.endsWith("/") && !path.includes("\0"), "expected an absolute path"),
  v.check(
    (path) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX,
    `paths of unix sockets have at most ${SOCKET_PATH_BYTES_MAX} bytes`,
  ),
);

const pathOrNone = (none: string) =>
  v.pipe(
    v.string("expected a path in quotes"),
    v.check(
      (path) => path === "" || (path.startsWith("/") && !path.endsWith("/") && !path.includes("\0")),
      `expected an absolute path, or "" for ${none}`,
    ),
  );

const sync = v.pipe(
  table({
    mode: v.optional(v.picklist(["ftfw"], 'the one mode available is "ftfw"'), "ftfw"),
    apply: v.optional(v.picklist(["live", "commit"], 'expected "live" or "commit"'), "live"),
    flows_max: wholeNumber(limits.FLOWS_MAX),
    resend_queue: wholeNumber(limits.RESEND_QUEUE_MESSAGES),
    ack_window: wholeNumber(limits.ACK_WINDOW_MESSAGES),
    purge_timeout_seconds: wholeNumber(limits.PURGE_TIMEOUT_SECONDS),
    audit_seconds: wholeNumber(limits.AUDIT_SECONDS),
    expectations: v.optional(v.boolean("expected true or false"), true),
  }),
  v.forward(
    v.partialCheck(
      [["resend_queue"], ["ack_window"]],
      (found) => found.ack_window <= found.resend_queue,
      "must not exceed sync.resend_queue, or messages leave that queue before the peer acknowledges them",
    ),
    ["ack_window"],
  ),
  v.transform((found) => ({
    mode: found.mode,
    apply: found.apply,
    flowsMax: found.flows_max,
    resendQueue: found.resend_queue,
    ackWindow: found.ack_window,
    purgeTimeoutSeconds: found.purge_timeout_seconds,
    auditSeconds: found.audit_seconds,
    expectations: found.expectations,
  })),
);

const netlink = v.pipe(
  table({
    buffer_bytes: wholeNumber(limits.NETLINK_BUFFER_BYTES),
    buffer_max_bytes: wholeNumber(limits.NETLINK_BUFFER_MAX_BYTES),
    gather_ms: number(limits.NETLINK_GATHER_MS),
  }),
  v.forward(
    v.partialCheck(
      [["buffer_bytes"], ["buffer_max_bytes"]],
      (found) => found.buffer_bytes <= found.buffer_max_bytes,
      "must not exceed netlink.buffer_max_bytes",
    ),
    ["buffer_bytes"],
  ),
  v.transform((found) => ({
    bufferBytes: found.buffer_bytes,
    bufferMaxBytes: found.buffer_max_bytes,
    gatherMs: found.gather_ms,
  })),
);

const link = v.pipe(
  table(
    {
      transport: v.optional(v.picklist(["udp"], 'the one transport available is "udp"'), "udp"),
      interface: interfaceName,
      local: endAddress,
      peer: endAddress,
      key_file: v.optional(pathOrNone("a link without a key"), ""),
      port: wholeNumber(limits.PORT, `UDP ports are ${limits.PORT.min} to ${limits.PORT.max}`),
      receive_buffer_bytes: wholeNumber(limits.LINK_BUFFER_BYTES),
      send_buffer_bytes: wholeNumber(limits.LINK_BUFFER_BYTES),
    },
    {
      interface: 'name the interface of the dedicated link, such as "eth2"',
      local: "give this machine's address on the link",
      peer: "give the other firewall's address on the link",
    },
  ),
  v.forward(
    v.partialCheck(
      [["local"], ["peer"]],
      ({ local, peer }) => local.family === peer.family,
      "must be of the same family as local: both IPv4 or both IPv6",
    ),
    ["peer"],
  ),
  v.forward(
    v.partialCheck(
      [["local"], ["peer"]],
      ({ local, peer }) => local.text !== peer.text,
      "must not equal local: it is the other firewall's address",
    ),
    ["peer"],
  ),
  v.forward(
    v.partialCheck([["interface"], ["local"]], zoneIsInterface("local"), "its zone must be the link's interface"),
    ["local"],
  ),
  v.forward(
    v.partialCheck([["interface"], ["peer"]], zoneIsInterface("peer"), "its zone must be the link's interface"),
    ["peer"],
  ),
  v.transform((found) => ({
    transport: found.transport,
    interface: found.interface,
    local: found.local,
    peer: found.peer,
    port: found.port,
    /** Empty: the link has no key, and is open. */
    keyFile: found.key_file,
    receiveBufferBytes: found.receive_buffer_bytes,
    sendBufferBytes: found.send_buffer_bytes,
  })),
);

/** Whether the address at `key` has no zone, or the zone that the link's interface is. */
function zoneIsInterface<K extends "local" | "peer">(key: K) {
  return (found: { readonly interface: string } & { readonly [P in K]: Address }): boolean =>
    found[key].zone === undefined || found[key].zone === found.interface;
}

const gate = v.pipe(
  table({
    mode: v.optional(v.picklist(["off", "on", "auto"], 'expected "off", "on" or "auto"'), "auto"),
    watchdog_seconds: wholeNumber(limits.GATE_WATCHDOG_SECONDS),
    interfaces: v.optional(v.array(interfaceName, "expected a list of interface names in brackets"), []),
    log_group: wholeNumber(limits.GATE_LOG_GROUP),
  }),
  v.transform((found) => ({
    mode: found.mode,
    watchdogSeconds: found.watchdog_seconds,
    interfaces: found.interfaces,
    logGroup: found.log_group,
  })),
);

const virtualAddress = parsedText<Address>('expected an address in quotes, such as "203.0.113.1"', (text) => {
  const parsed = parseAddress(text);
  if (!parsed.ok || parsed.value.zone === undefined) return parsed;
  return { error: "leave out the % and what follows" };
});

const fifoPath = v.pipe(
  v.string("expected a path in quotes"),
  v.check(
    (path) => path === "" || (path.startsWith("/") && !path.endsWith("/") && !path.includes("\0")),
    "expected an absolute path",
  ),
);

const keepalived = v.pipe(
  table({
    notify_fifo: v.optional(fifoPath, ""),
    instance: v.optional(v.string('expected a name in quotes, such as "FIREWALL"'), ""),
    virtual_addresses: v.optional(v.array(virtualAddress, "expected a list of addresses in brackets"), []),
    takeover_by_address: v.optional(v.boolean("expected true or false"), true),
  }),
  v.transform((found) => ({
    notifyFifo: found.notify_fifo,
    instance: found.instance,
    virtualAddresses: found.virtual_addresses,
    takeoverByAddress: found.takeover_by_address,
  })),
);

const ONE_LINK = "exactly one link is available: write one [[link]] with interface, local and peer";

/** The document as a whole. Tables that are left out have all their defaults. */
export const ConfigSchema = v.pipe(
  table(
    {
      sync: v.optional(sync, {}),
      link: v.pipe(
        v.array(link, "expected a list of links: write [[link]] in two pairs of brackets"),
        v.rawCheck(({ dataset, addIssue }) => {
          if (Array.isArray(dataset.value) && dataset.value.length !== 1) addIssue({ message: ONE_LINK });
        }),
      ),
      filter: v.optional(
        v.pipe(
          table({
            ignore_addresses: v.optional(v.array(ignoredAddress, "expected a list of addresses in brackets"), []),
          }),
          v.transform((found) => ({ ignoreAddresses: found.ignore_addresses })),
        ),
        {},
      ),
      gate: v.optional(gate, {}),
      keepalived: v.optional(keepalived, {}),
      control: v.optional(table({ socket: v.optional(socketPath, DEFAULT_SOCKET_PATH) }), {}),
      netlink: v.optional(netlink, {}),
      recorder: v.optional(
        v.pipe(
          table({
            path: v.optional(pathOrNone("no recorder"), DEFAULT_RECORDER_PATH),
            size_bytes: wholeNumber(limits.RECORDER_SIZE_BYTES),
          }),
          v.transform((found) => ({ path: found.path, sizeBytes: found.size_bytes })),
        ),
        {},
      ),
      daemon: v.optional(
        v.pipe(
          table({ realtime_priority: wholeNumber(limits.REALTIME_PRIORITY) }),
          v.transform((found) => ({ realtimePriority: found.realtime_priority })),
        ),
        {},
      ),
      log: v.optional(
        table({
          level: v.optional(
            v.picklist(["error", "warning", "info", "debug"], 'expected "error", "warning", "info" or "debug"'),
            "info",
          ),
        }),
        {},
      ),
    },
    { link: "write one [[link]] with interface, local and peer" },
  ),
  v.transform((found) => ({
    sync: found.sync,
    links: found.link,
    filter: found.filter,
    gate: found.gate,
    keepalived: found.keepalived,
    control: { socket: found.control.socket },
    netlink: found.netlink,
    recorder: found.recorder,
    daemon: found.daemon,
    log: { level: found.log.level },
  })),
);

/** The effective settings: every default filled in, addresses parsed. */
export type Config = v.InferOutput<typeof ConfigSchema>;
export type LinkConfig = Config["links"][number];
