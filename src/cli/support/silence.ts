/** Ends a request when nothing is heard of the daemon for too long: a stuck daemon must not hold a takeover script. */
export class SilenceError extends Error {}

export class Silence {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal = this.#abort.signal;

  constructor(maxMs: number) {
    this.#timer = setTimeout(() => this.#abort.abort(new SilenceError()), maxMs);
  }

  /** Something was heard: the wait starts anew. */
  broken(): void {
    this.#timer.refresh();
  }

  over(): void {
    clearTimeout(this.#timer);
  }
}
