/** How long the rest of a run will take, from what its readings took so far, or took in the run before. */
import type { Subject } from "./measure.ts";
import type { Results } from "./results.ts";
import type { PlannedTake } from "./series.ts";

interface Taken {
  readonly measureId: string;
  readonly subject: Subject;
  readonly elapsedMs: number;
}

const meanMs = (taken: readonly Taken[]): number =>
  taken.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / taken.length;

export class Remaining {
  readonly #earlier: readonly Taken[];
  readonly #now: Taken[] = [];
  readonly #left: PlannedTake[];

  /** `earlier` is a run of the same form, if there was one. */
  constructor(plan: readonly PlannedTake[], earlier: Results | undefined) {
    this.#left = [...plan];
    this.#earlier = (earlier?.measures ?? []).flatMap(({ id, takes }) =>
      takes.map(({ subject, elapsedMs }) => ({ measureId: id, subject, elapsedMs })),
    );
  }

  /** The next reading of the plan is done. */
  done(elapsedMs: number): void {
    const next = this.#left.shift();
    if (next !== undefined) this.#now.push({ measureId: next.measure.id, subject: next.subject, elapsedMs });
  }

  /** Undefined as long as nothing is known. The next reading of the plan has been under way for `underWayMs`. */
  leftMs(underWayMs: number): number | undefined {
    if (this.#now.length + this.#earlier.length === 0) return undefined;
    const [next, ...later] = this.#left.map((planned) => this.#expectedMs(planned));
    return later.reduce((sum, expectedMs) => sum + expectedMs, Math.max(0, (next ?? 0) - underWayMs));
  }

  /** Of the likenesses there are, the closest one: this subject now, then before, then this measure, then anything. */
  #expectedMs({ measure, subject }: PlannedTake): number {
    const ofMeasure = (taken: readonly Taken[]) => taken.filter(({ measureId }) => measureId === measure.id);
    const ofSubject = (taken: readonly Taken[]) => ofMeasure(taken).filter((one) => one.subject === subject);
    const [now, earlier] = [this.#now, this.#earlier];
    const likenesses = [ofSubject(now), ofSubject(earlier), ofMeasure(now), ofMeasure(earlier), now, earlier];
    return meanMs(likenesses.find(({ length }) => length > 0)!);
  }
}
