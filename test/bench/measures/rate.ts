/** M1: the highest rate of new flows at which the backup has every one of them in the end. */
import { arrival, insertFlows } from "../load.ts";
import type { Form, Measure, Readings } from "../measure.ts";
import { withNamespaces, withPair } from "../pair.ts";

/** `unpaced`: flows that the generator needs about `seconds` for as fast as it can. */
const SIZES: Readonly<Record<Form, { unpaced: number; seconds: number; tries: number; stableMs: number }>> = {
  quick: { unpaced: 100_000, seconds: 0.5, tries: 2, stableMs: 1_000 },
  full: { unpaced: 600_000, seconds: 4, tries: 4, stableMs: 3_000 },
};
const DEADLINE_MS = 10_000;

interface Try {
  /** What the generator reached. */
  readonly perSecond: number;
  readonly missing: number;
}

/** A fresh pair, so that what an earlier try lost or still repairs is not counted. */
function attempt(program: "conntrackd" | "ctsync", count: number, rate: number | "max", form: Form): Promise<Try> {
  return withPair(program, {}, async (pair) => {
    const { seconds } = await insertFlows(pair.primary.namespace, { count, rate, first: 0 });
    const { missing } = await arrival(pair, count, { deadlineMs: DEADLINE_MS, stableMs: SIZES[form].stableMs });
    return { perSecond: count / seconds, missing };
  });
}

/** Halves what is between the highest rate without loss and the lowest with; the former, 0 when there was none. */
async function bisect(program: "conntrackd" | "ctsync", tooFast: number, form: Form): Promise<number> {
  const { seconds, tries } = SIZES[form];
  let [lossless, lossy] = [0, tooFast];
  for (let i = 0; i < tries; i++) {
    const rate = Math.round((lossless + lossy) / 2);
    const { perSecond, missing } = await attempt(program, Math.round(rate * seconds), rate, form);
    if (missing === 0) lossless = Math.max(lossless, perSecond);
    else lossy = Math.min(lossy, perSecond);
  }
  return lossless;
}

function generatorAlone(form: Form): Promise<Readings> {
  return withNamespaces(async (_, namespace) => {
    const { flows, seconds } = await insertFlows(namespace, { count: SIZES[form].unpaced, rate: "max", first: 0 });
    return { rate: flows / seconds };
  });
}

export const rate: Measure = {
  id: "M1",
  title: "Highest rate",
  method:
    "New flows (SNAT, TCP) for 4 s, FTFW over UDP, as fast as the generator can; when flows are missing on the backup 10 s " +
    "later, the rate is bisected. Rates are what the generator reached. Losses that a program repairs by itself in that " +
    "time count as none. Limit: the generator while nobody listens, for whom the kernel makes no events at all.",
  rows: () => [
    {
      id: "rate",
      label: "new flows replicated, none lost",
      unit: "/s",
      better: "higher",
      goals: [{ factor: 1, of: "conntrackd" }],
    },
    { id: "missing", label: "missing at the generator's fastest", unit: "", better: "lower", goals: [] },
  ],
  subjects: ["conntrackd", "ctsync", "limit"],
  repeats: (form) => (form === "quick" ? 1 : 3),
  async take(subject, form): Promise<Readings> {
    if (subject === "limit") return await generatorAlone(form);
    const { perSecond, missing } = await attempt(subject, SIZES[form].unpaced, "max", form);
    return { rate: missing === 0 ? perSecond : await bisect(subject, perSecond, form), missing };
  },
};
