/** Copies an answer to standard output chunk by chunk, no faster than its reader takes it. */
import { once } from "node:events";

/** Why the copy is not whole, or undefined. A reader that has seen enough (`| head -1`) is no error. */
export async function pipeToStdout(response: Response): Promise<string | undefined> {
  const output = process.stdout;
  let writeError: NodeJS.ErrnoException | undefined;
  output.on("error", (error) => {
    writeError = error;
  });
  try {
    for await (const chunk of response.body ?? []) {
      if (!output.write(chunk) && writeError === undefined) await once(output, "drain");
      if (writeError !== undefined) break;
    }
  } catch (error) {
    if (writeError === undefined) return `the connection broke before the dump was whole (${(error as Error).message})`;
  }
  if (writeError === undefined || writeError.code === "EPIPE") return undefined;
  return `cannot write: ${writeError.message}`;
}
