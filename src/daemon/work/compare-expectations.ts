/**
 * Compares the kernel's expectations with the internal cache of them, while events go on changing both.
 *
 * They are few, so a second dump is the second look. Between the two all events of that time are worked off; a difference
 * counts if both dumps show one, and no event has told of that expectation since the first began (D-024).
 */
import type { DumpAge } from "../../cache/recent-events.ts";
import { type Expectation, expectationKey } from "../../flow/expectation.ts";
import { ExpectationDump } from "../../kernel/expectation-dump.ts";
import { explain } from "../../kernel/kernel-error.ts";
import type { ReplicaExpectations } from "../../replica-expectations.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import { monotonicMs } from "../clock.ts";
import type { Slice } from "../jobs.ts";
import { eachExpectation, type StartDump } from "./expectations.ts";
import { type ExpectationFindings, eventsRead, SUPERSEDED } from "./findings.ts";

/** Kernel and cache count whole seconds, from different moments. */
const ROUNDING_SECONDS = 2;

/** `readMs`: when all events about expectations had last been worked off. */
export function* compareExpectations(
  expectations: ReplicaExpectations,
  findings: ExpectationFindings,
  readMs: () => number,
  start: StartDump = ExpectationDump.start,
): Generator<Slice, Result<void>, void> {
  const age = expectations.recentEvents.read();
  try {
    return yield* new Comparison(expectations, findings, age).run(readMs, start);
  } finally {
    age.close();
  }
}

class Comparison {
  readonly #expectations: ReplicaExpectations;
  readonly #findings: ExpectationFindings;
  readonly #age: DumpAge;
  /** Keys of the kernel's expectations that differed at the first look. */
  readonly #suspects = new Set<string>();
  readonly #pass: number;
  readonly #begun: number;

  constructor(expectations: ReplicaExpectations, findings: ExpectationFindings, age: DumpAge) {
    this.#expectations = expectations;
    this.#findings = findings;
    this.#age = age;
    this.#begun = expectations.recentEvents.now;
    expectations.internal.beginPass();
    this.#pass = expectations.internal.pass;
  }

  *run(readMs: () => number, start: StartDump): Generator<Slice, Result<void>, void> {
    const { internal } = this.#expectations;
    const first = yield* eachExpectation(start, this.#age, (kernel) => {
      if (this.#differs(kernel) !== undefined) this.#suspects.add(expectationKey(kernel));
    });
    if (!first.ok) return refuse(explain(first.error));
    if (!this.#superseded && (this.#suspects.size > 0 || internal.nextUnseen(0) >= 0)) {
      yield* eventsRead(readMs);
      const second = yield* eachExpectation(start, this.#age, (kernel) => this.#lookAgain(kernel));
      if (!second.ok) return refuse(explain(second.error));
      if (!this.#superseded) this.#tellDead();
    }
    return this.#superseded ? refuse(SUPERSEDED) : succeed(undefined);
  }

  get #superseded(): boolean {
    return this.#expectations.internal.pass !== this.#pass;
  }

  /** How an entry of the kernel differs from the cache, if it does. */
  #differs(kernel: Expectation): "missing" | "different" | undefined {
    if (this.#superseded) return undefined;
    const found = this.#expectations.compareEntry(kernel);
    // One that is a peer's now may be in the cache still, and is withdrawn soon: it has not ended.
    if (found !== "ignored" || this.#expectations.isPeers(kernel)) this.#expectations.kernelHas(kernel);
    if (found === "ignored") return undefined;
    if (found !== "same") return found;
    const { internal } = this.#expectations;
    const nowMs = monotonicMs();
    const cached = internal.read(internal.find(kernel), nowMs).timeoutSeconds;
    const isOlder = this.#expectations.isOvertaken(kernel, this.#age);
    if (kernel.timeoutSeconds !== cached && !isOlder) this.#findings.expectationTimer(kernel, nowMs);
    return undefined;
  }

  #lookAgain(kernel: Expectation): void {
    const found = this.#differs(kernel);
    if (found === undefined || !this.#suspects.has(expectationKey(kernel))) return;
    if (this.#expectations.isTold(kernel, this.#begun)) return;
    const nowMs = monotonicMs();
    if (found === "missing") this.#findings.missingExpectation(kernel, nowMs);
    else this.#findings.changedExpectation(kernel, this.#expectations.internal.find(kernel), nowMs);
  }

  /** What neither dump has, though the cache has it still. One that began meanwhile counts as seen. */
  #tellDead(): void {
    const { internal } = this.#expectations;
    const nowMs = monotonicMs();
    for (let slot = internal.nextUnseen(0); slot >= 0; slot = internal.nextUnseen(slot + 1)) {
      const { timeoutSeconds } = internal.read(slot, nowMs);
      const ranOut = timeoutSeconds !== undefined && timeoutSeconds <= ROUNDING_SECONDS;
      this.#findings.deadExpectation(slot, ranOut, nowMs);
    }
  }
}
