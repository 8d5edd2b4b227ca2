/**
 * keepalived in a namespace: VRRP over the inside and the outside interface, tied into one sync group, so that both
 * virtual addresses always move together. Its pid files live in the lab: /run is shared between namespaces.
 */
import { rmSync } from "node:fs";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";

export interface VirtualAddress {
  readonly interface: string;
  readonly router: number; // virtual_router_id, 1 to 255
  readonly ipv4: string; // with prefix length; VRRP speaks IPv4
  readonly ipv6: string; // with prefix length; moves along
}

export interface KeepalivedSettings {
  readonly priority: number;
  readonly advertSeconds: number;
  readonly virtual: Readonly<Record<string, VirtualAddress>>; // by instance name
  /** Command keepalived runs at each transition, with its own arguments appended; once for the group, or per instance. */
  readonly notify?: string | undefined;
  readonly notifyPer?: "group" | "instance" | undefined;
  /** Command asked every second whether this firewall may be primary. */
  readonly readyScript?: string | undefined;
  /** What its answer changes the priority by: 60 points less while it fails, unless said otherwise. */
  readonly readyWeight?: number;
  /** Command asked as often; while it fails, keepalived gives the addresses up at once. */
  readonly asideScript?: string | undefined;
  /** A firewall of higher priority leaves the addresses where they are. */
  readonly nopreempt?: boolean;
  /** The addresses are announced when they are taken over, and not once more five seconds later. */
  readonly announcesOnce?: boolean;
  /** Path of the fifo that keepalived writes its words to. */
  readonly notifyFifo?: string | undefined;
}

function instance(name: string, address: VirtualAddress, settings: KeepalivedSettings): string {
  const notify = settings.notifyPer === "instance" && settings.notify ? `  notify "${settings.notify}"\n` : "";
  return `vrrp_instance ${name} {
  state BACKUP
${settings.nopreempt ? "  nopreempt\n" : ""}  interface ${address.interface}
  virtual_router_id ${address.router}
  priority ${settings.priority}
  advert_int ${settings.advertSeconds}
${settings.announcesOnce ? "  garp_master_delay 0\n" : ""}  virtual_ipaddress {
    ${address.ipv4}
  }
  virtual_ipaddress_excluded {
    ${address.ipv6}
  }
${notify}}
`;
}

/** As ctsync's help advises. The interval is the shortest there is: Debian's keepalived knows whole seconds alone. */
function readyScript({ readyScript, readyWeight = -60 }: KeepalivedSettings): string {
  if (readyScript === undefined) return "";
  return `vrrp_script ctsync_ready {
  script "${readyScript}"
  interval 1
  timeout 2
  rise 2
  fall 5
  weight ${readyWeight}
  init_fail
}
`;
}

function asideScript({ asideScript }: KeepalivedSettings): string {
  if (asideScript === undefined) return "";
  return `vrrp_script ctsync_aside {
  script "${asideScript}"
  interval 1
  timeout 2
  rise 1
  fall 1
}
`;
}

function configuration(settings: KeepalivedSettings): string {
  const notify = settings.notifyPer !== "instance" && settings.notify ? `  notify "${settings.notify}"\n` : "";
  const scripts = [settings.readyScript && "ctsync_ready", settings.asideScript && "ctsync_aside"].filter(Boolean);
  const track = scripts.length > 0 ? `  track_script {\n    ${scripts.join("\n    ")}\n  }\n` : "";
  const names = Object.keys(settings.virtual);
  const instances = Object.entries(settings.virtual).map(([name, address]) => instance(name, address, settings));
  // Real-time priority: where many namespaces come and go, 2 backups of 24 waited in vain for advertisements every 0.2 s.
  return `global_defs {
  vrrp_version 3
  script_user root
  enable_script_security
  vrrp_rt_priority 50
${settings.notifyFifo ? `  vrrp_notify_fifo ${settings.notifyFifo}\n` : ""}}
${readyScript(settings)}${asideScript(settings)}vrrp_sync_group FIREWALL {
  group {
    ${names.join("\n    ")}
  }
${notify}${track}}
${instances.join("")}`;
}

/** Starts it in the foreground; its log is the process's lines ("(INSIDE) Entering MASTER STATE"). */
export async function startKeepalived(namespace: Namespace, settings: KeepalivedSettings): Promise<LabProcess> {
  const { lab, name } = namespace;
  const file = await lab.write(`keepalived-${name}.conf`, configuration(settings));
  const pidFile = (process: string) => `${lab.directory}/keepalived-${name}-${process}.pid`;
  // Of one that was killed: its number may be another process's now. A machine that lost its power has an empty /run.
  for (const process of ["parent", "vrrp"]) rmSync(pidFile(process), { force: true });
  return namespace.spawn([
    "keepalived",
    ...["--dont-fork", "--vrrp", "--log-console", "--log-detail", "--no-syslog"],
    ...["--use-file", file, "--pid", pidFile("parent"), "--vrrp_pid", pidFile("vrrp")],
  ]);
}
