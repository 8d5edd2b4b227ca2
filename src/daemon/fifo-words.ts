/**
 * keepalived's notify_fifo: a line an event, in the order in which things happened.
 *
 *   INSTANCE "INSIDE" MASTER 150
 *   GROUP "FIREWALL" BACKUP 0
 *
 * Beside the four roles keepalived writes MASTER_RX_LOWER_PRI, MASTER_PRIORITY and BACKUP_PRIORITY, which are no
 * transitions, and on a fifo for everything also lines of its health checks (VS, RS). The priority may be missing.
 * Source: keepalived.conf(5), "notify_fifo".
 */
import type { NotifyRole } from "../report.ts";

/** No line of keepalived's is longer; what is, is no line of keepalived's. */
const LINE_BYTES_MAX = 1_024;

const ROLES: Readonly<Record<string, NotifyRole>> = {
  MASTER: "master",
  BACKUP: "backup",
  FAULT: "fault",
  STOP: "stop",
};

export interface FifoWord {
  readonly kind: "instance" | "group";
  readonly name: string;
  readonly role: NotifyRole;
}

/** `undefined`: a line that is none of ours, or nothing to act on. */
export function parseFifoLine(line: string): FifoWord | undefined {
  const found = /^(INSTANCE|GROUP) "([^"]*)" ([A-Z_]+)(?: .*)?$/.exec(line);
  if (found === null) return undefined;
  const [, kind, name = "", word = ""] = found;
  const role = Object.hasOwn(ROLES, word) ? ROLES[word] : undefined;
  return role === undefined ? undefined : { kind: kind === "GROUP" ? "group" : "instance", name, role };
}

/** Cuts what is read into lines; a line may come in pieces. */
export class FifoLines {
  #rest = "";
  /** Lines that were too long, or nothing keepalived writes. */
  skipped = 0;
  #skipping = false;

  take(text: string): FifoWord[] {
    const words: FifoWord[] = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const word = this.#skipping || line.length > LINE_BYTES_MAX ? undefined : parseFifoLine(line);
      this.#skipping = false;
      if (word === undefined) this.skipped++;
      else words.push(word);
    }
    if (this.#rest.length > LINE_BYTES_MAX) {
      this.#rest = "";
      this.#skipping = true;
    }
    return words;
  }

  /** What was begun is not finished by another keepalived. */
  forget(): void {
    this.#rest = "";
    this.#skipping = false;
  }
}
