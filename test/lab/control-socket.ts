/** HTTP over a daemon's control socket, without the command line between: that is a process for each question. */
import { request } from "node:http";

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export function askSocket(socketPath: string, method: string, path: string, body = ""): Promise<Answer> {
  const answer = Promise.withResolvers<Answer>();
  const asked = request({ socketPath, method, path, agent: false }, (response) => {
    let text = "";
    response.on("data", (chunk) => {
      text += chunk;
    });
    response.on("end", () => answer.resolve({ status: response.statusCode ?? 0, text }));
    response.on("error", answer.reject);
  });
  asked.on("error", answer.reject);
  asked.end(body);
  return answer.promise;
}
