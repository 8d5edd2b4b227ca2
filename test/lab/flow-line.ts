/**
 * A flow as a line of conntrack(8), conntrackd or ctsync, taken apart, so that the three can be compared.
 *
 *   tcp      6 431999 ESTABLISHED src=… dst=… sport=… dport=… [UNREPLIED] src=… … [ASSURED] mark=0 zone=5 helper=ftp use=1
 *
 * Left out: timeouts, which run; ages and use counts, which are each program's own. A mark that is not named is 0: events
 * of the kernel name it only where it is set or changed, dumps always.
 */
export interface FlowLine {
  readonly protocol: string; // "tcp 6", with the state behind it where there is one
  readonly orig: string;
  /** Empty in conntrackd's external cache, which has none. */
  readonly reply: string;
  readonly unreplied: boolean;
  readonly assured: boolean;
  readonly mark: string;
  /** As "zone=5" or "zone-orig=5"; empty in zone 0. */
  readonly zone: string;
  readonly helper: string;
}

const TUPLE_KEYS = new Set(["src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey"]);

export function parseFlowLine(line: string): FlowLine {
  const [name, number, ...rest] = line.replace(/ \[active since \d+s\]$/, "").split(/\s+/);
  const state = rest.find((word) => /^[A-Z][A-Z_0-9]+$/.test(word));
  const tuples: string[] = [];
  const named = new Map<string, string>();
  for (const word of rest) {
    const [key = "", value] = word.split("=");
    if (value === undefined) continue;
    if (key === "src") tuples.push(word);
    else if (TUPLE_KEYS.has(key)) tuples.push(`${tuples.pop()} ${word}`);
    else named.set(key, key.startsWith("zone") ? word : value);
  }
  const [orig = "", reply = ""] = tuples;
  return {
    protocol: [name, number, state ?? ""].join(" ").trim(),
    orig,
    reply,
    unreplied: rest.includes("[UNREPLIED]"),
    assured: rest.includes("[ASSURED]"),
    mark: named.get("mark") ?? "0",
    zone: named.get("zone") ?? named.get("zone-orig") ?? named.get("zone-reply") ?? "",
    helper: named.get("helper") ?? "",
  };
}

/** One text a flow, sorted: equal lists are equal tables, and a difference reads as a line. */
export function flowTexts(flows: readonly FlowLine[]): string[] {
  const text = ({ protocol, orig, reply, unreplied, assured, mark, zone, helper }: FlowLine): string =>
    [
      ...[protocol, orig, reply === "" ? "" : `↔ ${reply}`, unreplied ? "[UNREPLIED]" : "", assured ? "[ASSURED]" : ""],
      ...[`mark=${mark}`, zone, helper === "" ? "" : `helper=${helper}`],
    ]
      .filter(Boolean)
      .join(" ");
  return flows.map(text).sort();
}

/**
 * What the sync protocol carries of a sender's flow. GRE keys and UDP-Lite ports have no attribute, nor has a zone of one
 * direction, nor the id an ICMP flow was translated to.
 */
export function asCarried(flow: FlowLine): FlowLine {
  const carried = { ...flow, zone: flow.zone.startsWith("zone=") ? flow.zone : "" };
  if (flow.protocol.startsWith("gre ")) return { ...carried, ...tuples(flow, /key=0x[0-9a-f]+/g, "key=0x0") };
  if (flow.protocol.startsWith("udplite ")) return { ...carried, ...tuples(flow, /port=\d+/g, "port=0") };
  const [id] = / id=\d+/.exec(flow.orig) ?? [];
  return id === undefined ? carried : { ...carried, ...tuples(flow, / id=\d+/g, id) };
}

const tuples = ({ orig, reply }: FlowLine, what: RegExp, by: string): Pick<FlowLine, "orig" | "reply"> => ({
  orig: orig.replace(what, by),
  reply: reply.replace(what, by),
});
