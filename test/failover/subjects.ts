/**
 * Who is put to the test: each entry is one column of the table. Configuration, how keepalived tells it of its role, and
 * where a flow of the peer's lies while it is backup.
 */
import { VIRTUAL_ADDRESSES } from "../lab/firewall.ts";
import type { MeasuredNode, NodeOptions } from "../lab/measured-node.ts";
import type { Program } from "../lab/sync-node.ts";
import type { Other } from "./observation.ts";

export interface Subject {
  readonly id: string;
  readonly label: string;
  readonly program: Program;
  readonly options: NodeOptions;
  /** As backup it puts the peer's flows into its kernel at once. */
  readonly isLive: boolean;
  /** keepalived asks it whether it is ready to be primary, so it may be started before that. */
  readonly isAsked: boolean;
  /** What is not played, since it is known to die each time. */
  readonly cannot: readonly Other[];
}

/** What ctsync has to be told for its takeover gate, which its manual advises. */
const KEEPALIVED = {
  virtual_addresses: VIRTUAL_ADDRESSES,
};

const NOTHING: readonly Other[] = [];
/** conntrackd makes an expectation without the translation that belongs to it. */
const TRANSLATED_EXPECTATIONS: readonly Other[] = ["ftp-active"];

export const SUBJECTS: readonly Subject[] = [
  {
    id: "ctsync-live",
    label: "ctsync live",
    program: "ctsync",
    options: { sync: { apply: "live" }, keepalived: KEEPALIVED },
    isLive: true,
    isAsked: true,
    cannot: NOTHING,
  },
  {
    id: "ctsync-commit",
    label: "ctsync commit",
    program: "ctsync",
    options: { sync: { apply: "commit" }, keepalived: KEEPALIVED },
    isLive: false,
    isAsked: true,
    cannot: NOTHING,
  },
  {
    id: "conntrackd",
    label: "conntrackd",
    program: "conntrackd",
    options: { expectations: true },
    isLive: false,
    isAsked: false,
    cannot: TRANSLATED_EXPECTATIONS,
  },
  {
    id: "conntrackd-direct",
    label: "conntrackd without external cache",
    program: "conntrackd",
    options: { externalCache: false, expectations: true },
    isLive: true,
    isAsked: false,
    cannot: TRANSLATED_EXPECTATIONS,
  },
];

/** keepalived appends GROUP, its name, the role and a priority. conntrackd's calls are those of the script it comes with. */
export function notifyScript(subject: Subject, node: MeasuredNode): string {
  const call = (...args: string[]): string => node.client(args).join(" ");
  if (subject.program === "ctsync") return `${call("notify")} "$@"\n`;
  return `case "$3" in
MASTER) ${call("-c")}; ${call("-f")}; ${call("-R")}; ${call("-B")} ;;
BACKUP) ${call("-t")}; ${call("-n")} ;;
*) ${call("-t")} ;;
esac
`;
}

/** conntrackd has to be told to ask its peer for what it missed; ctsync asks by itself. */
export async function joinPeer(subject: Subject, node: MeasuredNode): Promise<void> {
  if (subject.program === "conntrackd") await node.command("-n");
}
