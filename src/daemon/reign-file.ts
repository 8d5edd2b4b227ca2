/**
 * What a daemon that starts anew amid a reign needs of the one before it (D-012 of src/sync), in a file beside the control
 * socket, where a reboot clears it together with the kernel's table. One line:
 *
 *   ctsync reign 1 <clock when the reign began> <daemons that have gone on with it>
 *
 * It is there while this node is primary. It is small, and in memory as a rule: written at once, as a whole or not at all.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { KeptReign } from "../sync/reign.ts";
import { CLAIM_MAX } from "../wire/claim.ts";
import type { Log } from "./log.ts";

const LINE = /^ctsync reign 1 (\d{1,16}) (\d{1,9})\n$/;

export class ReignFile {
  readonly path: string;
  readonly #log: Log;
  #kept: KeptReign | null = null;
  #isWarned = false;

  constructor(socketPath: string, log: Log) {
    this.path = `${socketPath}.reign`;
    this.#log = log;
  }

  /** What the daemon before this one left; null: nothing, or nothing that could be used. */
  read(): KeptReign | null {
    let text: string;
    try {
      text = readFileSync(this.path, "latin1");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#warn("cannot be read", error);
      return null;
    }
    const [, known, lives] = (LINE.exec(text) ?? []).map(Number);
    if (known !== undefined && lives !== undefined && known <= CLAIM_MAX) return { known, lives };
    this.#log.warning(`${this.path} is not what a daemon writes there: this node begins its reign anew`);
    return null;
  }

  /** Keeps it for the next daemon; null: there is nothing to go on with. */
  keep(kept: KeptReign | null): void {
    if (kept === this.#kept) return;
    this.#kept = kept;
    if (kept === null) this.clear();
    else this.#write(kept);
  }

  clear(): void {
    this.#remove(this.path);
  }

  #remove(path: string): void {
    try {
      rmSync(path, { force: true });
    } catch (error) {
      this.#warn("cannot be removed", error);
    }
  }

  #write({ known, lives }: KeptReign): void {
    const part = `${this.path}.part`;
    try {
      writeFileSync(part, `ctsync reign 1 ${known} ${lives}\n`, { mode: 0o600 });
      renameSync(part, this.path);
    } catch (error) {
      this.#warn("cannot be written", error);
      this.#remove(part);
      this.clear(); // An older one would be a lie.
    }
  }

  /** Once: nothing is lost by it as long as this daemon lives. */
  #warn(what: string, error: unknown): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    const reason = error instanceof Error ? error.message : error;
    this.#log.warning(
      `${this.path} ${what}: ${reason}. If ctsync restarts while two are primary, it knows no more what it claimed`,
    );
  }
}
