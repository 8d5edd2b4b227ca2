/** results.md: what was done, the tables, how to read them. And the block for the README. */
import { formatNumber, formatQuantity } from "../figures/quantity.ts";
import type { Summary } from "../figures/statistics.ts";
import { SCENARIO_TITLES } from "./observation.ts";
import type { Results } from "./results.ts";
import { SUBJECTS } from "./subjects.ts";
import { type ScenarioSummary, summarizeResults } from "./summary.ts";

const NOTHING = "–";
const README_FLOWS = 100_000;

const METHOD = `Two firewalls with keepalived (advertisements every 200 ms) between host A and host B, in network namespaces. Both filter
statefully: FORWARD drops, but what is established passes, and new TCP from A's side by its SYN; INVALID is logged; A's
connections are translated to the virtual address; TCP is tracked strictly. 200 TCP connections ask and are answered, each
every 50 ms, half of which the server thinks; beside them an ssh session, a bulk transfer of 1.6 MB/s, and a server that
pushes a datagram every 2 ms to a client that is silent. The other flows stand in FW1's kernel and are replicated.

A run is a cycle of four events, each with all connections alive before: FW1 loses power; it returns with an empty kernel,
gets what FW2 has, 50 connections more and those that died are opened through FW2 (the young ones), and only then FW1's
keepalived starts and preempts; FW2 is rebooted and gets everything, then FW1's keepalived is stopped in good order; it
is started again. Both hosts and both firewalls share the processors; what runs on the hosts goes before the firewalls'
daemons, as if it had its own.

*INPUT answers*: a packet for the virtual address that belongs to no known flow is the firewall's own, and answered, with
RST or ICMP. *INPUT drops*: what is INVALID is dropped there too, as the README's rules have it.`;

const READING = `Connections are those of all runs together: how many of how many went on, every answer right. ssh, bulk and push: in how
many of the runs. RST: how many reached A · B. Stall: longest silence of the pushed datagrams, median and longest, of the
runs in which they went on; after a death, what of it came after MASTER, since the rest is VRRP's detection. TCP's stall
is what came after MASTER; its senders back off. Twice: connections that needed a second retransmission after MASTER.
Last flow: from MASTER until the kernel holds all that it will hold (old entries count: a firewall that was primary a moment
ago has them). Detection: from the last advertisement to MASTER. CPU: of the new primary's daemon and its children, from
before the event until all is settled.`;

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
    ...groups(summaries).flatMap(([title, of]) => [`## ${title}`, table(of), table2(of), goals(of)]),
    ...failures(results),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** What the README shows: one size of table, a line for each event, a column for each subject. */
export function readmeTable(results: Results): string {
  const chosen = summarizeResults(results).filter(({ flows }) => flows === README_FLOWS);
  const subjects = SUBJECTS.filter((subject) => chosen.some((one) => one.subject === subject));
  const events = Map.groupBy(
    chosen,
    ({ scenario, input }) => `${SCENARIO_TITLES[scenario]}, INPUT ${input === "answer" ? "answers" : "drops"}`,
  );
  const lines = [...events].map(([event, of]) => [
    event,
    ...subjects.map((subject) => readmeCell(of.find((one) => one.subject === subject))),
  ]);
  return lines.length === 0 ? "" : `${grid(["", ...subjects.map(({ label }) => label)], lines)}\n`;
}

/** "3,990 of 4,000, 12 RST; pushed 4.1 ms", or that pushed datagrams never came again. */
function readmeCell(one: ScenarioSummary | undefined): string {
  if (one === undefined) return NOTHING;
  const resets = one.resetsInside + one.resetsOutside;
  const pushed =
    one.pushRuns === one.runs ? `${formatNumber(one.pushLate!.max)} ms` : `dead in ${one.runs - one.pushRuns}`;
  return `${alive(one)}, ${resets} RST; pushed ${pushed}`;
}

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
const ofRuns = (count: number, runs: number): string => bold(`${count} of ${runs}`, count < runs);
const alive = ({ survivors, connections }: ScenarioSummary): string =>
  bold(`${exact(survivors)} of ${exact(connections)}`, survivors < connections);
const exact = (value: number): string => value.toLocaleString("en-US");

/** "12 ms (40)": the median, and the longest behind it. */
function spread(summary: Summary | undefined): string {
  if (summary === undefined) return NOTHING;
  const text = `${formatNumber(summary.median)} ms`;
  return summary.count === 1 ? text : `${text} (${formatNumber(summary.max)})`;
}

function table(summaries: readonly ScenarioSummary[]): string {
  const header = ["event", "program", "runs", "connections", "of them young", "ssh", "bulk", "push", "RST to A · B"];
  const lines = summaries.map((one) => [
    SCENARIO_TITLES[one.scenario],
    one.subject.label,
    `${one.runs}`,
    alive(one),
    one.youngConnections === 0 ? NOTHING : `${one.youngSurvivors} of ${one.youngConnections}`,
    ...[one.sshRuns, one.bulkRuns, one.pushRuns].map((count) => ofRuns(count, one.runs)),
    bold(`${one.resetsInside} · ${one.resetsOutside}`, one.resetsInside + one.resetsOutside > 0),
  ]);
  return grid(header, lines);
}

function table2(summaries: readonly ScenarioSummary[]): string {
  const header = [
    "event",
    "program",
    "stall",
    "stall of TCP",
    "twice",
    "last flow",
    "detection",
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
    spread(one.lastFlow) + (one.flowsMissing > 0 ? `, ${one.flowsMissing} missing` : ""),
    spread(one.detection),
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
