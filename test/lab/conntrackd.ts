/**
 * The real conntrackd in the lab: reliable mode over UDP, with a configuration, lock and control socket of its own for
 * each daemon.
 *
 * Its hash is larger than 8192 because below that a plain `-c` never comes to an end; its real-time priority is the lowest
 * one, so that it starves nobody on a small machine.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { until } from "./until.ts";

export const CONNTRACKD = "/usr/sbin/conntrackd";
const READY_DEADLINE_MS = 10_000;

export interface ConntrackdConfig {
  readonly interface: string;
  readonly local: string; // IPv4
  readonly peer: string;
  readonly port?: number;
  readonly ignoreAddresses?: readonly string[];
  readonly hashSize?: number;
  readonly hashLimit?: number;
  readonly netlinkBufferBytes?: number;
  readonly netlinkBufferMaxBytes?: number;
  readonly linkBufferBytes?: number;
  readonly expectations?: boolean;
  /** Without one, the peer's flows go straight into the kernel. */
  readonly externalCache?: boolean;
}

/** Writes NAME.conf into the lab's directory, control socket and lock beside it; returns its path. */
export function writeConntrackdConfig(lab: Lab, name: string, config: ConntrackdConfig): Promise<string> {
  const ignored = ["127.0.0.1", "::1", config.local, config.peer, ...(config.ignoreAddresses ?? [])].map((address) =>
    address.includes(":") ? `IPv6_address ${address}` : `IPv4_address ${address}`,
  );
  const linkBufferBytes = config.linkBufferBytes ?? 1_249_280;
  return lab.write(
    `${name}.conf`,
    `Sync {
      Mode FTFW {
        DisableExternalCache ${config.externalCache === false ? "On" : "Off"}
      }
      UDP {
        IPv4_address ${config.local}
        IPv4_Destination_Address ${config.peer}
        Port ${config.port ?? 3780}
        Interface ${config.interface}
        SndSocketBuffer ${linkBufferBytes}
        RcvSocketBuffer ${linkBufferBytes}
        Checksum on
      }
      Options {
        ExpectationSync ${config.expectations === false ? "Off" : "On"}
      }
    }
    General {
      HashSize ${config.hashSize ?? 16_384}
      HashLimit ${config.hashLimit ?? 131_072}
      Syslog off
      LogFile off
      LockFile ${join(lab.directory, `${name}.lock`)}
      UNIX {
        Path ${join(lab.directory, `${name}.ctl`)}
      }
      NetlinkBufferSize ${config.netlinkBufferBytes ?? 8_388_608}
      NetlinkBufferSizeMaxGrowth ${config.netlinkBufferMaxBytes ?? 16_777_216}
      Scheduler {
        Type RR
        Priority 1
      }
      Filter From Userspace {
        Address Ignore {
          ${ignored.join("\n")}
        }
      }
    }\n`,
  );
}

/** Starts conntrackd and returns once it answers on its control socket. */
export async function startConntrackd(namespace: Namespace, config: string): Promise<Conntrackd> {
  const conntrackd = new Conntrackd(namespace, config, namespace.spawn([CONNTRACKD, "-C", config]));
  const { process } = conntrackd;
  const answers = async () => (await namespace.exec([CONNTRACKD, "-C", config, "-s", "runtime"])).status === 0;
  await until(async () => !process.running || (await answers()), READY_DEADLINE_MS, "conntrackd answers");
  if (!process.running)
    throw new Error(`conntrackd ended with exit status ${await process.exited}:\n${process.output}`);
  return conntrackd;
}

/** A running conntrackd and the flags that speak to it. */
export class Conntrackd {
  readonly namespace: Namespace;
  readonly config: string;
  readonly process: LabProcess;

  constructor(namespace: Namespace, config: string, process: LabProcess) {
    this.namespace = namespace;
    this.config = config;
    this.process = process;
  }

  /** A killed one leaves its lock behind and would not start again. */
  removeLock(): void {
    rmSync(this.config.replace(/\.conf$/, ".lock"), { force: true });
  }

  /** `conntrackd FLAGS`, which must succeed; returns what it printed. */
  run(...flags: readonly string[]): Promise<string> {
    return this.namespace.run([CONNTRACKD, "-C", this.config, ...flags]);
  }
}
