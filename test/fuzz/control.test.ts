/** Fuzzing of a running daemon's control socket: docs/fuzzing.md. For more, `npm run fuzz -- --only control`. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { ControlTarget } from "./control.ts";
import { play } from "./target.ts";

setDefaultTimeout(120_000);

const RSS_GROWTH_MAX_BYTES = 32_000_000;

const target = new ControlTarget();
afterAll(() => target.close());

test("3,000 requests: the daemon lives, answers, replicates, and takes no more memory for the second half", async () => {
  const outcomes = new Set<string>();
  let requests = 0;
  let halfway = 0;
  for (let seed = 1; requests < 3_000; seed++) {
    const episode = await play(target, seed);
    requests += episode.cases;
    for (const outcome of episode.outcomes) outcomes.add(outcome);
    if (halfway === 0 && requests >= 1_500) halfway = await target.rssBytes();
  }
  const statuses = new Set([...outcomes].flatMap((outcome) => outcome.split(",")));
  for (const status of ["200", "400", "404", "405", "413"]) expect(statuses).toContain(`HTTP/1.1 ${status}`);
  expect((await target.rssBytes()) - halfway).toBeLessThan(RSS_GROWTH_MAX_BYTES);
});
