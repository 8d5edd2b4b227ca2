/** What one event did to the connections: a line of results.json. All moments are milliseconds. */
import * as v from "valibot";

export const SCENARIOS = ["death", "failback", "switch", "switch-back"] as const;
export type Scenario = (typeof SCENARIOS)[number];

export const SCENARIO_TITLES: Readonly<Record<Scenario, string>> = {
  death: "FW1 dies",
  failback: "FW1 returns and preempts",
  switch: "keepalived is stopped on FW1",
  "switch-back": "keepalived is started on FW1 again",
};

/** What there is beside the connections that ask and are answered over IPv4. */
export const OTHERS = ["ipv6", "inbound", "ssh", "bulk", "udp", "push", "echo", "ftp", "ftp-active"] as const;
export type Other = (typeof OTHERS)[number];

export const OTHER_TITLES: Readonly<Record<Other, string>> = {
  ipv6: "IPv6",
  inbound: "DNAT",
  ssh: "ssh",
  bulk: "bulk",
  udp: "UDP",
  push: "UDP push",
  echo: "ping",
  ftp: "FTP PASV",
  "ftp-active": "FTP PORT",
};

const Ms = v.pipe(v.number(), v.finite());
const Count = v.pipe(v.number(), v.integer());
const Survival = v.strictObject({ connections: Count, survivors: Count });
export type Survival = v.InferOutput<typeof Survival>;

export const ObservationSchema = v.strictObject({
  scenario: v.picklist(SCENARIOS),
  /** TCP connections that ask and are answered: those there were, and those that went on; of them, those opened last. */
  connections: Count,
  survivors: Count,
  youngConnections: Count,
  youngSurvivors: Count,
  others: v.strictObject(v.entriesFromList(OTHERS, Survival)),
  /** Connections that were opened in the last 5 ms before a death. */
  late: Survival,
  /** Resets that reached a host, those that a host sent itself, and ICMP that told either that something is unreachable. */
  resetsInside: Count,
  resetsOutside: Count,
  resetsByHosts: Count,
  unreachables: Count,
  /** Packets that the rules of either firewall called INVALID. What a gate has dropped does not come to the rules. */
  invalid: Count,
  /** From the last advertisement of the old primary to MASTER on the new one. */
  detectionMs: Ms,
  /** Longest silence of the pushed datagrams, and how much of it is the stall: after a death, what came after MASTER. */
  pushGapMs: Ms,
  pushLateMs: Ms,
  /** For so long one of the hosts' own programs stood still, which is in no way the firewalls' doing; older results do not say. */
  hostsPausedMs: v.optional(Ms),
  /** Longest silence, and how much of it came after MASTER, of all TCP connections that ask and survived, and of ssh; TCP's senders back off. */
  tcpGapMs: Ms,
  tcpLateMs: Ms,
  /** Surviving connections that waited after MASTER longer than one retransmission, backed off twice as long, explains. */
  retransmittedTwice: Count,
  /** From MASTER until the kernel holds all that it will; until keepalived's script is done. */
  lastFlowMs: Ms,
  scriptMs: Ms,
  /** Flows that the old primary's kernel held, and that the new one's lacks then. */
  flowsMissing: Count,
  /** CPU time of the new primary's daemon during it, its children's too. */
  cpuMs: Ms,
  /** What became of the first that did not survive: "talk 17, port 40002: ECONNRESET". */
  fates: v.array(v.string()),
  /** The first resets and unreachables, as tcpdump told them. */
  told: v.optional(v.array(v.string()), []),
});
export type Observation = v.InferOutput<typeof ObservationSchema>;
