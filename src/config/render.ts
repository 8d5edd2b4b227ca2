/** The effective settings as TOML: a file that, loaded again, gives the same settings. */
import type { Address } from "./address.ts";
import type { Config } from "./schema.ts";

export function renderConfig(config: Config): string {
  const { sync, netlink } = config;
  return Bun.TOML.stringify({
    sync: {
      mode: sync.mode,
      apply: sync.apply,
      flows_max: sync.flowsMax,
      resend_queue: sync.resendQueue,
      ack_window: sync.ackWindow,
      purge_timeout_seconds: sync.purgeTimeoutSeconds,
      audit_seconds: sync.auditSeconds,
      expectations: sync.expectations,
    },
    link: config.links.map((link) => ({
      transport: link.transport,
      interface: link.interface,
      local: written(link.local),
      peer: written(link.peer),
      port: link.port,
      key_file: link.keyFile,
      receive_buffer_bytes: link.receiveBufferBytes,
      send_buffer_bytes: link.sendBufferBytes,
    })),
    filter: { ignore_addresses: config.filter.ignoreAddresses.map((cidr) => cidr.text) },
    gate: {
      mode: config.gate.mode,
      watchdog_seconds: config.gate.watchdogSeconds,
      interfaces: config.gate.interfaces,
      log_group: config.gate.logGroup,
    },
    keepalived: {
      notify_fifo: config.keepalived.notifyFifo,
      instance: config.keepalived.instance,
      virtual_addresses: config.keepalived.virtualAddresses.map(({ text }) => text),
      takeover_by_address: config.keepalived.takeoverByAddress,
    },
    control: { socket: config.control.socket },
    netlink: {
      buffer_bytes: netlink.bufferBytes,
      buffer_max_bytes: netlink.bufferMaxBytes,
      gather_ms: netlink.gatherMs,
    },
    recorder: { path: config.recorder.path, size_bytes: config.recorder.sizeBytes },
    daemon: { realtime_priority: config.daemon.realtimePriority },
    log: { level: config.log.level },
  });
}

const written = (address: Address): string =>
  address.zone === undefined ? address.text : `${address.text}%${address.zone}`;
