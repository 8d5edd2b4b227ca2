/** Fuzzing within this process, from seeds that are always the same: docs/fuzzing.md. For more, `npm run fuzz`. */
import { heapStats } from "bun:jsc";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { commandLineTarget } from "./command-line.ts";
import { ctnetlinkTarget } from "./ctnetlink.ts";
import { datagramTarget } from "./datagram.ts";
import { sealedTarget } from "./sealed.ts";
import { type Failure, holds, minimise, play, type Step, type Target } from "./target.ts";
import { tomlTarget } from "./toml.ts";

setDefaultTimeout(120_000);

const HEAP_GROWTH_MAX_BYTES = 4_000_000;
const RSS_GROWTH_MAX_BYTES = 64_000_000;

/** Plays episodes until there were so many cases; all that they did. */
async function cases(target: Target, seed: number, wanted: number): Promise<Set<string>> {
  const outcomes = new Set<string>();
  for (let played = 0; played < wanted; ) {
    const episode = await play(target, seed++);
    played += episode.cases;
    for (const outcome of episode.outcomes) outcomes.add(outcome);
  }
  return outcomes;
}

function memory(): { heap: number; rss: number } {
  Bun.gc(true);
  return { heap: heapStats().heapSize, rss: process.memoryUsage.rss() };
}

/** `told`: what at least one case must have done, or the cases are too tame to prove anything. */
describe.each([
  [
    datagramTarget,
    200_000,
    [
      /truncated/,
      /badSize/,
      /badVersion/,
      /badHeader/,
      /badPayload/,
      /incomplete/,
      /late/,
      /flowsReceived/,
      /control10/,
    ],
  ],
  [
    sealedTarget,
    30_000,
    [
      ...["clear", "malformed", "wrongKey", "oldSession", "replayed", "forged", "greetings", "taken"].map(
        (outcome) => new RegExp(`^forged .* ${outcome}$`),
      ),
      ...["magic", "kind", "length", "key", "session", "counter", "body", "tag", "cut", "lengthened"].map(
        (change) => new RegExp(`^forged ${change} `),
      ),
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((subtype) => new RegExp(`^extension ${subtype} `)),
      /extensionsReceived15/,
      /extensionsUnknown15/,
      /badPayload15/,
      /badPayload[012]/,
      /incomplete[012]/,
      /late/,
      /flowsReceived/,
      /expectationsReceived/,
      /rekey 3/,
    ],
  ],
  [
    ctnetlinkTarget,
    200_000,
    [
      /message 1$/,
      /message 2$/,
      /message 3$/,
      / true$/,
      /events 0,0,0,1/,
      /events 0,1,0,0/,
      /events 0,0,1,0/,
      /dump . 3 71/,
    ],
  ],
  [tomlTarget, 5_000, [/^fine$/, /unknown key/, /is missing/, /: line , column : /, /whole number/]],
  [commandLineTarget, 5_000, [/refused/, /role,instance,priority/, /notify 1/, /flush 2/, /config/]],
])("$name", (target, count, told) => {
  test(`every case holds, and the second half of them takes no more memory (${count} cases)`, async () => {
    await cases(target, 1_000_000, count / 20);
    const outcomes = await cases(target, 1, count / 2);
    const before = memory();
    for (const outcome of await cases(target, 500_000, count / 2)) outcomes.add(outcome);
    const after = memory();
    for (const pattern of told)
      expect(
        [...outcomes].some((outcome) => pattern.test(outcome)),
        `${pattern}`,
      ).toBe(true);
    expect(after.heap - before.heap).toBeLessThan(HEAP_GROWTH_MAX_BYTES);
    expect(after.rss - before.rss).toBeLessThan(RSS_GROWTH_MAX_BYTES);
  });

  test("the same seed does the same, another seed something else", async () => {
    const [one, again, other] = [await play(target, 7), await play(target, 7), await play(target, 8)];
    expect(again.digest).toBe(one.digest);
    expect(other.digest).not.toBe(one.digest);
  });
});

test("what fails is found, and told by the fewest steps and bytes", async () => {
  const broken: Target = {
    ...tomlTarget,
    begin: () => {
      let seen = 0;
      return {
        apply({ bytes }: Step) {
          if (bytes.includes(0x5b)) seen++;
          holds(seen < 3, "the third bracket");
          return "";
        },
        end: () => {},
      };
    },
  };
  const failure = await play(broken, 1).then(
    () => undefined,
    (error: Failure) => error,
  );
  expect(failure?.message).toContain("seed 1, case ");
  const fewer = await minimise(failure!, 10_000);
  expect(fewer).toHaveLength(3);
  expect(fewer.at(-1)!.bytes.toHex()).toBe("5b");
});
