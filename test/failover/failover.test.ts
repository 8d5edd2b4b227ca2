/** The suite's quick form, beside some thousand other flows, where INPUT answers what belongs to no known flow. */
import { expect, test } from "bun:test";
import { cycle } from "./cycle.ts";
import { type Observation, OTHERS, SCENARIOS } from "./observation.ts";
import { Stand } from "./stand.ts";
import { SUBJECTS } from "./subjects.ts";
import { isWhole } from "./summary.ts";

const TEST_MS = 60_000;
const CONNECTIONS = 40;
const subject = (wanted: string) => SUBJECTS.find(({ id }) => id === wanted)!;

function nobodyNoticed(one: Observation): void {
  const { scenario, survivors, fates, others, resetsInside, resetsOutside, told, flowsMissing } = one;
  const connections = scenario === "death" ? CONNECTIONS : CONNECTIONS * 1.25;
  expect({ scenario, survivors, fates }).toEqual({ scenario, survivors: connections, fates: [] });
  expect({ scenario, dead: OTHERS.filter((other) => !isWhole(others[other])) }).toEqual({ scenario, dead: [] });
  expect({ scenario, told, resets: resetsInside + resetsOutside }).toEqual({ scenario, told: [], resets: 0 });
  expect({ scenario, flowsMissing }).toEqual({ scenario, flowsMissing: 0 });
}

test(
  "every connection goes on when a firewall dies, returns, is stopped and is started again, and none is reset",
  async () => {
    const options = { subject: subject("ctsync-live"), flows: 5_000, input: "answer" } as const;
    await using stand = await Stand.build({ ...options, connections: CONNECTIONS });
    const observed = await Array.fromAsync(cycle(stand));
    expect(observed.map(({ scenario }) => scenario)).toEqual([...SCENARIOS]);
    for (const one of observed) nobodyNoticed(one);
    expect(observed.find(({ scenario }) => scenario === "failback")).toMatchObject({ youngSurvivors: CONNECTIONS / 4 });
    expect(observed[0]!.late.connections).toBeGreaterThan(0);
  },
  TEST_MS,
);

test(
  "the gate keeps what comes before the commit is done from being answered: every connection goes on",
  async () => {
    const options = { subject: subject("ctsync-commit"), flows: 20_000, input: "answer" } as const;
    await using stand = await Stand.build({ ...options, connections: CONNECTIONS });
    for await (const one of cycle(stand)) {
      expect(one.scenario).toBe("death");
      nobodyNoticed(one);
      break;
    }
  },
  TEST_MS,
);
