/** The suite's quick form: one cycle of ctsync's live mode, beside some thousand other flows, where INPUT answers. */
import { expect, test } from "bun:test";
import { cycle } from "./cycle.ts";
import { OTHERS, SCENARIOS } from "./observation.ts";
import { Stand } from "./stand.ts";
import { SUBJECTS } from "./subjects.ts";
import { isWhole } from "./summary.ts";

const TEST_MS = 60_000;
const FLOWS = 5_000;
const CONNECTIONS = 40;

test(
  "every connection goes on when a firewall dies, returns, is stopped and is started again, and none is reset",
  async () => {
    const options = { subject: SUBJECTS[0]!, flows: FLOWS, input: "answer", connections: CONNECTIONS } as const;
    await using stand = await Stand.build(options);
    const observed = await Array.fromAsync(cycle(stand));
    expect(observed.map(({ scenario }) => scenario)).toEqual([...SCENARIOS]);
    for (const one of observed) {
      const { scenario, survivors, fates, others, resetsInside, resetsOutside, flowsMissing } = one;
      const connections = scenario === "death" ? CONNECTIONS : CONNECTIONS * 1.25;
      expect({ scenario, survivors, fates }).toEqual({ scenario, survivors: connections, fates: [] });
      expect({ scenario, dead: OTHERS.filter((other) => !isWhole(others[other])) }).toEqual({ scenario, dead: [] });
      expect({ scenario, resets: resetsInside + resetsOutside }).toEqual({ scenario, resets: 0 });
      expect({ scenario, flowsMissing }).toEqual({ scenario, flowsMissing: 0 });
    }
    expect(observed.find(({ scenario }) => scenario === "failback")).toMatchObject({ youngSurvivors: CONNECTIONS / 4 });
  },
  TEST_MS,
);
