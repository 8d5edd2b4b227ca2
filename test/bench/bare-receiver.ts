/** The bare receiver of `limit/receiver.ts` as a process inside a namespace, beside the programs it is the limit of. */
import { processCpuUs } from "../lab/cpu-clock.ts";
import type { Namespace } from "../lab/namespace.ts";
import type { LabProcess } from "../lab/process.ts";

const RECEIVER = Bun.fileURLToPath(new URL("./limit/receiver.ts", import.meta.url));
const START_DEADLINE_MS = 10_000;
const EVENTS_DEADLINE_MS = 60_000;

export class BareReceiver {
  readonly #process: LabProcess;

  /** It will say when it has as many events as each of `marks` says, in their order, and end at the last. */
  static async start(namespace: Namespace, marks: readonly number[], bufferBytes: number): Promise<BareReceiver> {
    const flags = ["--buffer-bytes", `${bufferBytes}`, "--marks", marks.join(",")];
    const receiver = new BareReceiver(namespace.spawn([process.execPath, RECEIVER, ...flags]));
    await receiver.#process.waitForLine(/^ready$/, START_DEADLINE_MS);
    return receiver;
  }

  private constructor(process: LabProcess) {
    this.#process = process;
  }

  cpuUs(): number {
    return processCpuUs(this.#process.pid);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Until it has `events` in all, one of its marks; throws when the kernel dropped some. */
  async has(events: number): Promise<void> {
    const isMark = (text: string): boolean => Number(/^\{"events":(\d+)/.exec(text)?.[1] ?? 0) >= events;
    const line = await this.#process.waitFor(isMark, `${events} events`, EVENTS_DEADLINE_MS);
    if (!line.includes('"overruns":0')) throw new Error(`the bare receiver lost events: ${line}`);
  }
}
