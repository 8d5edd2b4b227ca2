/**
 * A live connection whose liveness can be measured: numbered lines go in, and a program on the far side answers each.
 *
 * A line is typed every 100 ms; when the answers stop, so did the connection, and the longest silence between two
 * answers is the gap a user felt. Whatever carries lines can carry a session: ssh, or socat over TCP or UDP.
 */
import type { Namespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";

const TYPING_INTERVAL_MS = 100;
const START_DEADLINE_MS = 10_000;
const ANSWER = /^answer (\d+)$/;
/** The program that answers: a shell's words. */
export const ANSWERING = 'while read -r line; do echo "answer $line"; done';

/** 0 when the line is no answer. */
const answerNumber = (text: string): number => Number(ANSWER.exec(text)?.[1] ?? 0);

/** Answers whoever connects; `address` is socat's, such as "TCP6-LISTEN:7". */
export async function startAnswering(namespace: Namespace, address: string): Promise<void> {
  const program = await namespace.lab.write("answering.sh", ANSWERING);
  const server = namespace.spawn(["socat", "-d", "-d", `${address},reuseaddr,fork`, `EXEC:sh ${program}`]);
  await server.waitForLine(/ N listening on /, START_DEADLINE_MS);
}

/** Connects to what answers, and returns once it does; `address` is socat's, such as "TCP6:[fd00::2]:7". */
export async function openLines(namespace: Namespace, address: string): Promise<LineSession> {
  const session = new LineSession(namespace.spawn(["socat", "STDIO", address]));
  await session.nextAnswer(START_DEADLINE_MS);
  return session;
}

/** An open session, typed into until closed. */
export class LineSession {
  readonly client: LabProcess;
  readonly #typing: NodeJS.Timeout;
  #typed = 0;

  constructor(client: LabProcess) {
    this.client = client;
    this.#typing = setInterval(() => this.#type(), TYPING_INTERVAL_MS);
  }

  /** Lines typed so far. */
  get typedCount(): number {
    return this.#typed;
  }

  /** Numbers answered so far, in the order they came. */
  get answered(): number[] {
    return this.client.lines.map((line) => answerNumber(line.text)).filter((number) => number > 0);
  }

  /** True when the answers are 1, 2, 3 …: nothing lost, doubled or swapped. */
  get answersAreComplete(): boolean {
    return this.answered.every((number, index) => number === index + 1);
  }

  /** Milliseconds since the last answer. */
  get silenceMs(): number {
    return performance.now() - (this.#answerTimesMs().at(-1) ?? 0);
  }

  /** Longest time between two neighbouring answers, or from the last one to now, that ended after `sinceMs`. */
  longestGapMs(sinceMs: number): number {
    const times = [...this.#answerTimesMs(), performance.now()];
    const gaps = times.map((time, index) => (time > sinceMs && index > 0 ? time - times[index - 1]! : 0));
    return Math.max(...gaps);
  }

  /** Waits until a line typed from now on is answered. */
  async nextAnswer(deadlineMs: number): Promise<void> {
    const typedBefore = this.#typed;
    const isLater = (text: string) => answerNumber(text) > typedBefore;
    await this.client.waitFor(isLater, "an answer to a line typed from now on", deadlineMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#typing);
    await this.client.stop();
  }

  #type(): void {
    if (this.client.running) this.client.write(`${++this.#typed}\n`);
    else clearInterval(this.#typing);
  }

  #answerTimesMs(): number[] {
    return this.client.lines.filter((line) => ANSWER.test(line.text)).map((line) => line.atMs);
  }
}
