/**
 * conntrackd's control socket, spoken directly: a request is one number, the answer is text until it hangs up.
 *
 *   byte  0
 *         request   u32, host byte order; 21 asks for what `conntrackd -s` prints, 46 for a commit (`-c`)
 */
import type { Counts } from "./measured-node.ts";

const request = (number: number): Uint8Array => new Uint8Array(new Uint32Array([number]).buffer);
const STATISTICS = request(21);
const COMMIT = request(46);

export async function conntrackdCounts(socketPath: string): Promise<Counts> {
  const text = await ask(socketPath, STATISTICS);
  // Where the external cache is disabled, it says nothing of one.
  const [internal, external = 0] = [...text.matchAll(/current active connections:\s+(\d+)/g)].map((match) =>
    Number(match[1]),
  );
  const heard = /(\d+) Bytes recv/.exec(text)?.[1];
  if (internal === undefined || heard === undefined)
    throw new Error(`conntrackd says its statistics otherwise:\n${text}`);
  return { internal, external, heard: heard !== "0" };
}

/** It hangs up when the commit is done. */
export async function conntrackdCommit(socketPath: string): Promise<void> {
  const said = await ask(socketPath, COMMIT);
  if (said !== "") throw new Error(`conntrackd -c: ${said}`);
}

function ask(socketPath: string, question: Uint8Array): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  Bun.connect({
    unix: socketPath,
    socket: {
      open: (socket) => void socket.write(question),
      data: (_, bytes) => {
        text += bytes.toString();
      },
      close: () => resolve(text),
      error: (_, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}
