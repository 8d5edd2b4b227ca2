/** What is made from observations: sums, goals, tables and pictures; and what the command line understands. */
import { describe, expect, test } from "bun:test";
import { misplacedLabels, parseSvg } from "../figures/parsed-svg.ts";
import { parseCommandLine } from "./command-line.ts";
import { inventObservation, inventOthers, inventRow, inventRun } from "./invented-results.ts";
import { allRows, Remaining } from "./plan.ts";
import { publication } from "./publish.ts";
import { parseResults, type RowResults } from "./results.ts";
import { SUBJECTS } from "./subjects.ts";
import { summarizeResults } from "./summary.ts";
import { parse } from "./wire.ts";

const summarize = (...rows: RowResults[]) => summarizeResults({ ...inventRun(), rows });
const missed = (row: RowResults): string[] =>
  summarize(row)[0]!.goals.flatMap(({ text, isMet }) => (isMet ? [] : [text]));

describe("goals", () => {
  test("are met where nobody noticed anything in twenty runs", () => {
    expect(missed(inventRow("ctsync-live"))).toEqual([]);
  });

  test.each([
    ["every connection survives, in 20 runs", "a dead connection", { survivors: 199 }],
    ["so does all other traffic", "a dead ssh session", { others: inventOthers("ssh") }],
    ["so does all other traffic", "a dead FTP session", { others: inventOthers("ftp-active") }],
    ["no reset", "one inside", { resetsInside: 1 }],
    ["no reset", "one outside", { resetsOutside: 1 }],
    ["one retransmission after MASTER", "two", { retransmittedTwice: 1 }],
    ["stall ≤ 50 ms", "a longer one", { pushLateMs: 51 }],
  ])("%s: missed when a single run has %s", (goal, _, observed) => {
    const good = inventRow("ctsync-live");
    const bad = { elapsedMs: 1, observations: [inventObservation("death", observed)] };
    expect(missed({ ...good, cycles: [...good.cycles, bad] })).toEqual([goal]);
  });

  test("are missed by fewer runs than are wanted, and by datagrams that never came again", () => {
    expect(missed({ ...inventRow("ctsync-live"), cycles: inventRow("ctsync-live").cycles.slice(1) })).toEqual([
      "every connection survives, in 20 runs",
    ]);
    expect(missed(inventRow("ctsync-live", {}, { others: inventOthers("push") }))).toEqual([
      "so does all other traffic",
      "stall ≤ 50 ms",
    ]);
  });

  test("are ctsync's alone, and the stall's is not one of commit mode at half a million flows", () => {
    expect(summarize(inventRow("conntrackd")).flatMap(({ goals }) => goals)).toEqual([]);
    expect(missed(inventRow("ctsync-commit", { flows: 500_000 }, { pushLateMs: 9_999 }))).toEqual([]);
    expect(missed(inventRow("ctsync-live", { flows: 500_000 }, { pushLateMs: 9_999 }))).toEqual(["stall ≤ 50 ms"]);
  });
});

test("connections are summed up over all runs, times are medians of them", () => {
  const cycles = [100, 300, 200].map((pushLateMs) => ({
    elapsedMs: 1,
    observations: [inventObservation("death", { pushLateMs, survivors: 190 })],
  }));
  const [summary] = summarize(inventRow("conntrackd", { cycles }));
  expect(summary).toMatchObject({ runs: 3, connections: 600, survivors: 570, pushLate: { median: 200, max: 300 } });
});

const files = publication(inventRun());
const pictures = [...files].filter(([name]) => name.endsWith(".svg"));

test("there are two pictures of each INPUT chain", () => {
  expect(pictures.map(([name]) => name).sort()).toEqual([
    "stall-answer.svg",
    "stall-drop.svg",
    "survivors-answer.svg",
    "survivors-drop.svg",
  ]);
});

describe.each(pictures)("%s", (_, svg) => {
  test("is well-formed, told in words, and has no label that meets another or leaves the page", () => {
    const elements = parseSvg(svg);
    expect(elements[0]!.name).toBe("svg");
    expect(elements.find(({ name }) => name === "desc")!.text).toContain("500000 other flows");
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(misplacedLabels(elements)).toEqual([]);
  });

  test("uses only looks that its style sheet knows", () => {
    const elements = parseSvg(svg);
    const sheet = elements.find(({ name }) => name === "style")!.text;
    const used = new Set(elements.flatMap(({ attributes }) => attributes.class?.split(" ") ?? []));
    expect([...used].filter((look) => !sheet.includes(`.${look} {`))).toEqual([]);
  });
});

test("the tables name each subject at each size, what died, and the runs that failed", () => {
  const text = files.get("results.md")!;
  for (const { label } of SUBJECTS) expect(text).toContain(`| ${label} |`);
  expect(text).toContain("| cannot |");
  expect(text).toContain("## 500,000 other flows, INPUT drops");
  expect(text).toContain("**1,560 of 4,000**");
  expect(text).toContain("run 21: the peer \\| never came");
  const readme = files.get("readme-table.md")!;
  expect(readme.split("\n")).toHaveLength(2 + 4 * 2 * SUBJECTS.length + 1);
  expect(readme).toContain(
    "| FW1 dies, INPUT answers | ctsync live | 4,000 of 4,000 | 0 | 12 ms | 700 ms | 1,400 ms |  |",
  );
  expect(readme).toContain("| 1,400 ms | 20 of 400 UDP push, 20 of 400 FTP PASV, each FTP PORT (so not asked for) |");
  expect(text).toContain("| whole stall |");
});

test("results are read back as they were written, and refused with the place of a mistake", () => {
  const text = files.get("results.json")!;
  expect(parseResults(text)).toEqual({ ok: true, value: inventRun() });
  const broken = parseResults(text.replace('"survivors": 200', '"survivors": "all"'));
  expect(broken).toMatchObject({
    ok: false,
    error: expect.stringContaining("rows.0.cycles.0.observations.0.survivors"),
  });
});

describe("the command line", () => {
  const rowsOf = (...argv: string[]) => {
    const command = parseCommandLine(argv);
    if (!command.ok || command.value.kind !== "run") throw new Error("no run");
    return command.value.plan.map(([{ subject, flows, input }]) => `${subject.id} ${flows} ${input}`);
  };

  const runsOf = (...argv: string[]) => {
    const command = parseCommandLine(argv);
    if (!command.ok || command.value.kind !== "run") throw new Error("no run");
    return command.value.plan.map(([, runs]) => runs);
  };

  test("runs all rows unless told otherwise", () => {
    expect(rowsOf()).toHaveLength(4 * SUBJECTS.length);
    expect(runsOf()).toEqual([...Array(8).fill(20), 20, 20, 10, 10, 20, 20, 5, 5]);
    expect(new Set(runsOf("--runs", "3"))).toEqual(new Set([3]));
    expect(new Set(runsOf("--quick"))).toEqual(new Set([1]));
  });

  test("picks rows by subject, size and INPUT chain, also a size that is not among them", () => {
    expect(rowsOf("--only", "conntrackd,100000,drop")).toEqual(["conntrackd 100000 drop"]);
    expect(rowsOf("--only", "ctsync-live, 1000")).toEqual(["ctsync-live 1000 answer"]);
    const both = rowsOf("--only", "ctsync-commit,0,answer,drop");
    expect(both).toEqual(["ctsync-commit 0 answer", "ctsync-commit 0 drop"]);
  });

  test.each([
    [["--only", "conntrack"]],
    [["--runs", "0"]],
    [["--runs", "x"]],
    [["--from", "x", "--add"]],
    [["--nonsense"]],
  ])("refuses %p", (argv) => {
    expect(parseCommandLine(argv).ok).toBe(false);
  });
});

test("the time left is reckoned from the likest rows that ran", () => {
  const [small, large] = [allRows("full")[0]!, allRows("full").at(-1)!];
  const remaining = new Remaining([small, small, small, large]);
  expect(remaining.leftMs()).toBeUndefined();
  remaining.done(small, 10);
  expect(remaining.leftMs()).toBe(30);
  remaining.done(large, 100);
  expect(remaining.leftMs()).toBe(20);
});

test("what tcpdump says is understood", () => {
  const line = (text: string): string => `1764136000.250000 IP ${text}`;
  expect(parse(line("203.0.113.1.7010 > 203.0.113.50.40000: Flags [R], seq 1, win 0, length 0"))).toMatchObject({
    ...{ kind: "reset", from: "203.0.113.1", to: "203.0.113.50", atMs: 1_764_136_000_250 },
  });
  expect(parse(line("203.0.113.2 > 224.0.0.18: VRRPv3, Advertisement, vrid 52"))?.kind).toBe("advertisement");
  expect(parse(`1764136000.250000 IP6 2001:db8:b::50.7011 > fd00:10::10.40000: Flags [R.], seq 0`)).toMatchObject({
    ...{ kind: "reset", from: "2001:db8:b::50", to: "fd00:10::10" },
  });
  const unreachable = "203.0.113.1 > 203.0.113.50: ICMP 203.0.113.1 udp port 4 unreachable, length 100";
  expect(parse(line(unreachable))?.kind).toBe("unreachable");
  expect(parse("listening on eth0, link-type EN10MB (Ethernet)")).toBeUndefined();
});
