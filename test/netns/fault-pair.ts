/**
 * A pair that something happens to, and what must hold afterwards: the kernel of the survivor has, flow by flow, what the
 * kernel of the primary had: addresses, ports, NAT, state, mark, zone.
 */
import { expect } from "bun:test";
import * as f from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../../src/flow/status.ts";
import type { NotifyReport } from "../../src/report.ts";
import { compareLines, describe } from "../lab/compare.ts";
import type { LabConfig } from "../lab/ctsync.ts";
import type { Lab } from "../lab/lab.ts";
import { until } from "../lab/until.ts";
import { ask, cached, kernelFlows, makeSides, type Side, type Sides, statusOf } from "./daemon-pair.ts";
import { flowOf } from "./kernel-traffic.ts";

const CONVERGE_MS = 20_000;
const SOURCE_NAT = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_SRC_NAT_DONE;
/** ESTABLISHED, FIN_WAIT, CLOSE_WAIT */
const TCP_STATES = [3, 4, 5];
const TRANSLATED = 500;
const PORTS_EACH = 8_192;

/** Flows of every kind that a firewall has most of: TCP in several states, UDP, IPv6, SNAT, marks. Number i is always the same. */
export function mixedFlows(from: number, to: number, mark = 0): f.Flow[] {
  return Array.from({ length: to - from }, (_, at) => {
    const i = from + at;
    const source = 1_000 + Math.floor(i / PORTS_EACH);
    const common = { source, ports: f.portsWord(1 + (i % PORTS_EACH), 443), mark: mark === 0 ? i % 5 : mark };
    switch (i % 5) {
      case 0:
        return flowOf({ ...common, l4proto: f.IPPROTO_UDP });
      case 1:
        return flowOf({ ...common, l4proto: f.IPPROTO_TCP, ipv6: true, state: 3 });
      case 2: // Port by port its own translated source address, so that no two have one reply tuple.
        return flowOf({
          ...common,
          l4proto: f.IPPROTO_TCP,
          state: 3,
          replyDestination: TRANSLATED,
          status: SOURCE_NAT,
          ports: f.portsWord(1 + (i % PORTS_EACH), 1_000 + source),
        });
      default:
        return flowOf({ ...common, l4proto: f.IPPROTO_TCP, state: TCP_STATES[i % 3]! });
    }
  });
}

/** Sides as `makeSides` makes them, whose kernels can translate too. */
export async function makeFaultSides(lab: Lab, settings: Partial<LabConfig> = {}): Promise<Sides> {
  const sides = await makeSides(lab, settings);
  for (const { namespace } of sides)
    await namespace.nft("table ip nat { chain postrouting { type nat hook postrouting priority 100; }\n}");
  return sides;
}

/** keepalived's word; what became of each step. */
export async function notify(side: Side, role: "master" | "backup" | "fault"): Promise<NotifyReport> {
  const { text } = await ask(side, "POST", "/v1/notify", JSON.stringify({ role }));
  return JSON.parse(text.trim().split("\n").at(-1)!).value as NotifyReport;
}

/** `found` is what `wanted` was, flow by flow. */
export function expectSame(found: readonly string[], wanted: readonly string[]): void {
  expect(describe(compareLines(wanted, found))).toBe("equal");
}

/**
 * The survivor becomes primary, and its kernel has what the other kernel had. It is looked at as soon as all is committed and
 * reread: the last step of a takeover waits for a peer that may be dead. A kernel that followed has nothing to commit: what it
 * had is the survivor's own.
 */
export async function takesOver(survivor: Side, wanted: readonly string[]): Promise<void> {
  notify(survivor, "master").catch(() => undefined); // The lab may end before it does.
  const done = async () => {
    const status = await statusOf(survivor);
    const { lastCommit, lastRoleChange, external, internal, apply } = status;
    const through =
      apply.mode === "live" ? lastRoleChange?.role === "master" && lastRoleChange.ok : lastCommit !== null;
    return external === 0 && internal === wanted.length && through ? status : undefined;
  };
  const { lastCommit, apply, counters } = await until(
    done,
    CONVERGE_MS,
    "the takeover has committed all and reread the kernel",
  );
  expectSame(kernelFlows(survivor), wanted);
  if (apply.mode === "live") expect(counters.apply).toMatchObject({ refused: 0, masterless: 0 });
  else expect(lastCommit).toMatchObject({ failed: 0, lessened: [] });
}

/** Waits until the kernel of the one that follows has what the primary's has. */
export async function follows(primary: Side, backup: Side): Promise<void> {
  let said = "";
  const same = (): boolean => {
    said = describe(compareLines(kernelFlows(primary), kernelFlows(backup)));
    return said === "equal";
  };
  await until(same, CONVERGE_MS, `the kernel of ${backup.namespace.name} follows ${primary.namespace.name}`).catch(
    (error) => {
      throw new Error(`${error.message}; at last ${said}`);
    },
  );
}

/** Waits until kernel, internal cache and the peer's external cache are one and the same; compares only when counts agree. */
export async function converged(from: Side, to: Side): Promise<void> {
  let said = "";
  const same = async (): Promise<boolean> => {
    const [here, there] = [await statusOf(from), await statusOf(to)];
    said = `${here.internal} flows internal, ${there.external} external, suspect: ${here.kernel.suspect}`;
    if (here.kernel.suspect || here.internal !== there.external || there.peer.state !== "connected") return false;
    const wanted = kernelFlows(from);
    said = `internal: ${describe(compareLines(wanted, await cached(from, "internal")))}; `;
    said += `external: ${describe(compareLines(wanted, await cached(to, "external")))}`;
    return said === "internal: equal; external: equal";
  };
  await until(same, CONVERGE_MS, `${to.namespace.name} holds what ${from.namespace.name} has`).catch((error) => {
    throw new Error(`${error.message}; at last ${said}`);
  });
}
