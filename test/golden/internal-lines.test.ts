/** Every line that a recorded `conntrackd -i` printed, read into a flow, must come out of `flowLine` as it went in. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  Flow,
  HAS,
  HAS_HELPER,
  HAS_MARK,
  HAS_STATE,
  HAS_STATUS,
  INFO,
  icmpWord,
  MARK,
  ORIG_DST,
  ORIG_PORTS,
  ORIG_SRC,
  PROTO,
  portsWord,
  protoWord,
  REPLY_DST,
  REPLY_PORTS,
  REPLY_SRC,
  STATUS,
  setHelperName,
  ZONE_BOTH,
} from "../../src/flow/flow.ts";
import { IPS_ASSURED, IPS_SEEN_REPLY, SCTP_STATES, TCP_STATES } from "../../src/flow/status.ts";
import { flowLine } from "../../src/flow/text.ts";
import { addressWords } from "./attributes.ts";
import { ageOf, withMark } from "./lines.ts";
import { readLines, recordingNames } from "./recording.ts";

/** In 09 there is no internal cache: `conntrackd -i` prints the kernel's table there, in another form. */
const caching = recordingNames.filter((name) => !name.startsWith("09-"));

test.each(caching)("%s", (name) => {
  const files = readdirSync(join(import.meta.dir, "recordings", name)).filter((file) =>
    /-internal(?!-expect).*txt$/.test(file),
  );
  const lines = files.flatMap((file) => readLines(name, file));
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(flowLine(parse(line), ageOf(line))).toBe(withMark(line));
});

function parse(line: string): Flow {
  const flow = new Flow();
  const words = flow.words;
  const all = (key: string): string[] => [...line.matchAll(new RegExp(` ${key}=(\\S+)`, "g"))].map((match) => match[1]);
  const [, protocol, state] = /^\S+ +(\d+) (?:([A-Z_0-9]+) )?src=/.exec(line) ?? [];
  const sources = all("src");
  const destinations = all("dst");
  words[PROTO] = protoWord(sources[0].includes(":") ? 6 : 4, Number(protocol), Number(all("zone")[0] ?? 0), ZONE_BOTH);
  words.set(addressWords(sources[0]), ORIG_SRC);
  words.set(addressWords(destinations[0]), ORIG_DST);
  words.set(addressWords(sources[1]), REPLY_SRC);
  words.set(addressWords(destinations[1]), REPLY_DST);
  for (const [i, at] of [ORIG_PORTS, REPLY_PORTS].entries()) {
    const number = (key: string): number => Number(all(key)[i] ?? 0);
    words[at] = line.includes(" type=")
      ? icmpWord(number("id"), number("type"), number("code"))
      : portsWord(number("sport") + number("srckey"), number("dport") + number("dstkey"));
  }
  words[HAS] = HAS_STATUS;
  words[STATUS] = (line.includes("[UNREPLIED]") ? 0 : IPS_SEEN_REPLY) | (line.includes("[ASSURED]") ? IPS_ASSURED : 0);
  if (state !== undefined) {
    words[INFO] = (protocol === "132" ? SCTP_STATES : TCP_STATES).indexOf(state);
    words[HAS] |= HAS_STATE;
  }
  for (const mark of all("mark")) {
    words[MARK] = Number(mark);
    words[HAS] |= HAS_MARK;
  }
  for (const helper of all("helper")) {
    setHelperName(words, helper);
    words[HAS] |= HAS_HELPER;
  }
  return flow;
}
