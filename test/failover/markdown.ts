/** results.md: what was done, the tables, how to read them. And the block for the README. */
import { formatNumber, formatQuantity } from "../figures/quantity.ts";
import type { Summary } from "../figures/statistics.ts";
import { OTHER_TITLES, OTHERS, SCENARIO_TITLES, type Survival } from "./observation.ts";
import { ADVERT_MS } from "./plan.ts";
import type { Results } from "./results.ts";
import { isWhole, type ScenarioSummary, summarizeResults } from "./summary.ts";

const NOTHING = "–";
const README_FLOWS = 100_000;

const METHOD = `Two firewalls with keepalived (advertisements every ${ADVERT_MS} ms) between host A and host B, in network namespaces. Both filter
statefully: FORWARD drops, but what is established or expected passes, and new TCP from A's side by its SYN; INVALID is
logged; A's connections are translated to the virtual address; TCP is tracked strictly. 200 TCP connections ask and are
answered, each every 50 ms, half of which the server thinks. Beside them: 20 such connections over IPv6, 20 that B opens to
the virtual address and that are translated to A (DNAT), an ssh session, a bulk transfer as fast as its line of 100 Mbit/s
allows, UDP streams that are sent back, a server that pushes a datagram every 2 ms to a client that is silent, a ping every
50 ms, and two FTP sessions whose file is asked for before the event and transferred when keepalived's script is done, over a data connection that
the server waits for (PASV) or that it opens (PORT), which pass for what the helper expects or not at all. New UDP streams and
pings may pass while they are opened only. The other flows stand in FW1's kernel and are replicated.

A run is a cycle of four events, each with all connections alive before: FW1 loses power, while two connections a millisecond
are opened; it returns with an empty kernel, and while it gets what FW2 has, 50 connections more and those that died are opened
through FW2 (the young ones). ctsync's keepalived starts at once and asks \`ctsync ready\` every second, conntrackd's starts when all of it
is there; then it preempts. FW2 is rebooted and gets everything, unless its kernel is to hold it all the time, then
FW1's keepalived is stopped in good order; it is started again. A cycle begins with new connections and a rebooted FW2: that a
firewall comes back with an empty kernel, without a process and without a gate, is checked each time. Both hosts and both
firewalls are on one machine: the hosts' programs have its first processor, with real-time priority, and all of the firewalls' the others;
the kernel is told not to stop such programs for 50 ms of a second (\`kernel.sched_rt_runtime_us\`).

ctsync knows the virtual addresses, as its manual advises, so it has its takeover gate.

*INPUT answers*: a packet for the virtual address that belongs to no known flow is the firewall's own, and answered, with
RST or ICMP. *INPUT drops*: what is INVALID is dropped there too, as the README's rules have it.`;

const READING = `Connections are those of all runs together: how many of how many went on, every answer right; so are those of the other
kinds. RST: how many reached A · B. Last 5 ms: connections that had stood no longer than that when FW1 died; what they are sent is in no
other column. Stall: longest silence of the pushed datagrams, median and longest, of the
runs in which they went on; after a death, what of it came after MASTER, since the rest is VRRP's detection. TCP's stall
is what came after MASTER; its senders back off. Twice: connections that needed a second retransmission after MASTER.
Whole stall: what a user waits for after a death, VRRP's detection (from the last advertisement to MASTER) and, of TCP, the rest of
the sender's waiting time included: the longest silence of all connections that went on, ssh among them.
Last flow: from MASTER until the kernel holds all that it will hold (old entries count: a firewall that was primary a moment
ago has them). INVALID: packets that the firewalls' rules called so; what ctsync's gate drops before them is not among
them. CPU: of the new primary's daemon and its children, from
before the event until all is settled. conntrackd cannot do FTP with PORT, and is
not asked to: it makes an expectation without the translation that belongs to it, and the transfer dies each time.`;

export function renderMarkdown(results: Results): string {
  const summaries = summarizeResults(results);
  const { machine, versions, startedAt } = results;
  const sources = versions.sources === "" ? "" : ` (${versions.sources})`;
  const sections = [
    `# Failover: ctsync ${versions.ctsync} beside conntrackd ${versions.conntrackd}`,
    `- ctsync ${versions.ctsync}${sources} on Bun ${versions.bun}; conntrackd ${versions.conntrackd}
- ${machine.processor}, ${machine.coreCount} cores, ${formatQuantity(machine.memoryBytes, "bytes")} of memory
- Linux ${machine.kernel}, ${machine.distribution}
- ${startedAt}`,
    `**${tally(summaries)}**`,
    METHOD,
    READING,
    ...pictures(summaries),
    ...groups(summaries).flatMap(([title, of]) => [
      `## ${title}`,
      table(of),
      othersTable(of),
      timesTable(of),
      goals(of),
    ]),
    ...failures(results),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** What the README shows: one size of table, a line for each program in each event. Times are the longest of all runs. */
export function readmeTable(results: Results): string {
  const chosen = summarizeResults(results).filter(({ flows }) => flows === README_FLOWS);
  if (chosen.length === 0) return "";
  const events = Map.groupBy(chosen, (one) => `${SCENARIO_TITLES[one.scenario]}, ${inputs(one.input)}`);
  const lines = [...events].flatMap(([event, of]) => of.map((one, at) => [at === 0 ? event : "", ...readmeCells(one)]));
  const header = ["", "", "connections that go on", "RST", "stall", "whole stall", "of TCP", "dead too"];
  return `${grid(header, lines)}\n`;
}

function readmeCells(one: ScenarioSummary): string[] {
  const { others, subject, pushLate, pushGap, tcpGap } = one;
  const resets = one.resetsInside + one.resetsOutside;
  const dead = OTHERS.filter((other) => !isWhole(others[other]));
  const said = dead.map(
    (other) => `${exact(deadOf(others[other]))} of ${exact(others[other].connections)} ${OTHER_TITLES[other]}`,
  );
  const cannot = subject.cannot.map((other) => `each ${OTHER_TITLES[other]} (so not asked for)`);
  return [
    subject.label,
    alive(one),
    bold(exact(resets), resets > 0),
    ...[pushLate, pushGap, tcpGap].map((summary) => (summary === undefined ? NOTHING : longest(summary))),
    [...said, ...cannot].join(", "),
  ];
}

const longest = ({ max }: Summary): string => `${formatNumber(max)} ms`;

export function tally(summaries: readonly ScenarioSummary[]): string {
  const all = summaries.flatMap((summary) => summary.goals);
  return `${all.filter(({ isMet }) => isMet).length} of ${all.length} goals met`;
}

const inputs = (input: ScenarioSummary["input"]): string => (input === "answer" ? "INPUT answers" : "INPUT drops");

function groups(summaries: readonly ScenarioSummary[]): (readonly [string, ScenarioSummary[]])[] {
  const title = ({ flows, input }: ScenarioSummary): string =>
    `${flows.toLocaleString("en-US")} other flows, ${inputs(input)}`;
  return [...Map.groupBy(summaries, title)];
}

function pictures(summaries: readonly ScenarioSummary[]): string[] {
  return [...new Set(summaries.map(({ input }) => input))].map(
    (input) => `![Connections that go on, ${inputs(input)}](survivors-${input}.svg)

![Stall of pushed datagrams, ${inputs(input)}](stall-${input}.svg)`,
  );
}

const bold = (text: string, isBold: boolean): string => (isBold ? `**${text}**` : text);
const alive = (survival: Survival): string =>
  bold(`${exact(survival.survivors)} of ${exact(survival.connections)}`, !isWhole(survival));
const deadOf = ({ connections, survivors }: Survival): number => connections - survivors;
const exact = (value: number): string => value.toLocaleString("en-US");

/** "12 ms (40)": the median, and the longest behind it. */
function spread(summary: Summary | undefined): string {
  if (summary === undefined) return NOTHING;
  const text = `${formatNumber(summary.median)} ms`;
  return summary.count === 1 ? text : `${text} (${formatNumber(summary.max)})`;
}

function table(summaries: readonly ScenarioSummary[]): string {
  const header = ["event", "program", "runs", "connections", "of them young", "last 5 ms", "RST to A · B"];
  const lines = summaries.map((one) => [
    SCENARIO_TITLES[one.scenario],
    one.subject.label,
    `${one.runs}`,
    alive(one),
    ...[{ connections: one.youngConnections, survivors: one.youngSurvivors }, one.late].map(someOf),
    bold(`${one.resetsInside} · ${one.resetsOutside}`, one.resetsInside + one.resetsOutside > 0),
  ]);
  return grid(header, lines);
}

const someOf = ({ connections, survivors }: Survival): string =>
  connections === 0 ? NOTHING : `${exact(survivors)} of ${exact(connections)}`;

/** What else went on. */
function othersTable(summaries: readonly ScenarioSummary[]): string {
  const lines = summaries.map(({ scenario, subject, others }) => [
    SCENARIO_TITLES[scenario],
    subject.label,
    ...OTHERS.map((other) => (subject.cannot.includes(other) ? "cannot" : alive(others[other]))),
  ]);
  return grid(["event", "program", ...OTHERS.map((other) => OTHER_TITLES[other])], lines);
}

function timesTable(summaries: readonly ScenarioSummary[]): string {
  const header = [
    "event",
    "program",
    "stall",
    "of TCP",
    "twice",
    "whole stall",
    "of TCP",
    "detection",
    "last flow",
    "INVALID",
    "ICMP",
    "CPU",
  ];
  const lines = summaries.map((one) => [
    SCENARIO_TITLES[one.scenario],
    one.subject.label,
    spread(one.pushLate),
    spread(one.tcpLate),
    `${one.retransmittedTwice}`,
    spread(one.pushGap),
    spread(one.tcpGap),
    spread(one.detection),
    spread(one.lastFlow) + (one.flowsMissing > 0 ? `, ${one.flowsMissing} missing` : ""),
    `${one.invalid}`,
    `${one.unreachables}`,
    spread(one.cpu),
  ]);
  return grid(header, lines);
}

function goals(summaries: readonly ScenarioSummary[]): string {
  const missed = summaries.flatMap(({ subject, scenario, goals: judged }) => {
    const short = judged.filter(({ isMet }) => !isMet).map(({ text }) => text);
    return short.length === 0 ? [] : [`- ${subject.label}, ${SCENARIO_TITLES[scenario]}: missed ${short.join("; ")}`];
  });
  return missed.length === 0 ? `${tally(summaries)}.` : `${tally(summaries)}.\n\n${missed.join("\n")}`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function grid(header: readonly string[], lines: readonly (readonly string[])[]): string {
  return [header, header.map(() => "---"), ...lines].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n");
}

function failures({ rows }: Results): string[] {
  const lines = rows.flatMap(({ subject, flows, input, cycles }) =>
    cycles.flatMap(({ failure }, at) =>
      failure === undefined ? [] : [`- ${subject}, ${flows} flows, ${input}, run ${at + 1}: ${cell(failure)}`],
    ),
  );
  return lines.length === 0 ? [] : ["## Runs that did not come to their end", lines.join("\n")];
}
