/**
 * When the loop has worked for so long that real-time priority is no more its due (D-008).
 *
 * What it works is noted as a debt of sleep, a tenth as long, and what it sleeps pays for it. Whoever is woken, works and
 * sleeps again never gets into debt; a reading of a large table does, some tenths of a second after it began. Then the loop
 * works on as an ordinary thread, until it has had a rest.
 */
const SLEEP_PART = 0.1;
/** 0.4 s of work are free after a rest: a drained burst, a commit of 100,000 flows. */
const CREDIT_MS = 40;
/** No rest has to be longer than this and the credit, however long the work was. */
const DEBT_MS_MAX = 10;

export class LongWork {
  #debtMs = -CREDIT_MS;
  #goesOn = false;

  /** From the end of the credit until it has all been slept back. */
  get goesOn(): boolean {
    return this.#goesOn;
  }

  /** What comes now is urgent, whatever was worked before: a rest is taken as had. */
  forgive(): void {
    this.slept(DEBT_MS_MAX + CREDIT_MS);
  }

  worked(milliseconds: number): void {
    this.#debtMs = Math.min(DEBT_MS_MAX, this.#debtMs + milliseconds * SLEEP_PART);
    if (this.#debtMs > 0) this.#goesOn = true;
  }

  slept(milliseconds: number): void {
    this.#debtMs = Math.max(-CREDIT_MS, this.#debtMs - milliseconds);
    if (this.#debtMs === -CREDIT_MS) this.#goesOn = false;
  }
}
