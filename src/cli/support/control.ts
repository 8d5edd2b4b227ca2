/**
 * Talks to the daemon: HTTP over its unix socket. A command is posted and answered line by line (`report.ts`): progress
 * while the work goes on, then one final line. Every way this can go wrong becomes one sentence that says what to do.
 */
import { SOCKET_PATH_BYTES_MAX } from "../../config/paths.ts";
import type { CommandName, FinalLine, Orders, ProgressLine, Replies } from "../../report.ts";
import { type Result, refuse, succeed } from "../../result.ts";
import type { ClientArgs } from "./options.ts";
import { clearProgress, showProgress } from "./progress.ts";
import { Silence, SilenceError } from "./silence.ts";
import { socketPath } from "./socket-path.ts";

/** The daemon reports progress far more often, so one that is silent for so long is stuck. */
const SILENCE_MAX_SECONDS = 60;

export async function order<C extends CommandName>(
  args: ClientArgs,
  command: C,
  body: Orders[C],
): Promise<FinalLine<Replies[C]>> {
  const socket = socketPath(args);
  const silence = new Silence(SILENCE_MAX_SECONDS * 1000);
  try {
    const response = await fetch(`http://ctsync/v1/${command}`, {
      unix: socket,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: silence.signal,
    });
    if (!response.ok) return refuse(await errorOf(response));
    const final = await finalLine<Replies[C]>(response, silence);
    return final ?? refuse(`the daemon stopped before it was done. ${SEE_LOG}`);
  } catch (error) {
    return refuse(unreachable(socket, error));
  } finally {
    silence.over();
    clearProgress();
  }
}

/** Something to read, such as `status`. The body is not read yet, and may be longer than memory. */
export async function read(
  args: ClientArgs,
  path: string,
  silenceMaxSeconds = SILENCE_MAX_SECONDS,
): Promise<Result<Response>> {
  const socket = socketPath(args);
  const silence = new Silence(silenceMaxSeconds * 1000);
  try {
    const response = await fetch(`http://ctsync/v1/${path}`, { unix: socket, signal: silence.signal });
    return response.ok ? succeed(response) : refuse(await errorOf(response));
  } catch (error) {
    return refuse(unreachable(socket, error, silenceMaxSeconds));
  } finally {
    silence.over();
  }
}

async function finalLine<T>(response: Response, silence: Silence): Promise<FinalLine<T> | undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    silence.broken();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = JSON.parse(text) as ProgressLine | FinalLine<T>;
      if (!("progress" in line)) return line;
      showProgress(line);
    }
  }
  return undefined; // Every line ends in a newline, so what is left in `rest` was cut off.
}

/** The sentence in the body of an HTTP error, or what can be said without one. */
async function errorOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // Not from our daemon: its errors are JSON.
  }
  return `the daemon answered HTTP ${response.status}: is it the same version of ctsync? ${RESTART}`;
}

const SEE_LOG = "See its log (journalctl -u ctsync), then try again.";
const RESTART = "Restart it with: systemctl restart ctsync";
const START = "Start it with: systemctl start ctsync";

/** Why the daemon behind `socket` did not answer, and what to do. */
export function unreachable(socket: string, error: unknown, silenceMaxSeconds = SILENCE_MAX_SECONDS): string {
  if (error instanceof SilenceError) {
    return `the daemon at ${socket} has not answered for ${silenceMaxSeconds} seconds. ${RESTART}`;
  }
  const { code, name } = error as { readonly code?: string; readonly name?: string };
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return `no daemon runs: there is no socket ${socket}. ${START} (or name its socket with --socket PATH)`;
    case "ECONNREFUSED":
      return `no daemon runs: nobody listens on ${socket}. ${START}`;
    case "EACCES":
    case "EPERM":
      return `permission denied on ${socket}. Run ctsync as root, as the daemon does`;
    case "ENAMETOOLONG":
      return `no socket can have the path ${socket}: at most ${SOCKET_PATH_BYTES_MAX} bytes are possible`;
    default:
      return `the connection to the daemon broke before it was done (${code ?? name ?? String(error)}). ${SEE_LOG}`;
  }
}
