/**
 * A small FTP server on port 21 that has one file: `PASV` and `PORT` say where the data connection goes, `RETR` opens it
 * and sends FTP_CONTENT. Runs by itself: bun test/lab/ftp-server.ts ADDRESS FIRST_DATA_PORT
 */
import { createConnection, createServer, type Socket } from "node:net";

export const FTP_CONTENT = "what the file says";

type Deliver = () => void;

function serve(address: string, firstDataPort: number): void {
  let nextPort = firstDataPort;
  const session = (control: Socket): void => {
    let deliver: Deliver | undefined;
    const say = (line: string): void => void control.write(`${line}\r\n`);
    const send = (data: Socket): void => void data.end(`${FTP_CONTENT}\n`, () => say("226 sent"));

    const passive = (): void => {
      const port = nextPort++;
      const arrived = Promise.withResolvers<Socket>();
      const listener = createServer((data) => arrived.resolve(data)).listen(port, address, () => {
        say(`227 Entering Passive Mode (${address.replaceAll(".", ",")},${port >> 8},${port & 0xff}).`);
      });
      deliver = () => void arrived.promise.then(send).finally(() => listener.close());
    };
    const active = (where: string): void => {
      const numbers = where.split(",");
      const [high = 0, low = 0] = numbers.slice(4).map(Number);
      deliver = () => {
        const data = createConnection(high * 256 + low, numbers.slice(0, 4).join("."));
        data.on("connect", () => send(data)).on("error", () => say("425 no data connection"));
      };
      say(`200 to ${where}`);
    };

    say("220 ready");
    let heard = "";
    control.on("error", () => control.destroy());
    control.on("data", (bytes) => {
      heard += bytes.toString();
      for (let end = heard.indexOf("\r\n"); end >= 0; end = heard.indexOf("\r\n")) {
        const [verb, argument = ""] = heard.slice(0, end).split(" ");
        heard = heard.slice(end + 2);
        if (verb === "PASV") passive();
        else if (verb === "PORT") active(argument);
        else if (verb === "RETR" && deliver !== undefined) deliver();
        else say("200 noted");
      }
    });
  };
  createServer(session).listen(21, address, () => console.log("ready"));
}

if (import.meta.main) {
  const [address = "", firstDataPort = ""] = process.argv.slice(2);
  serve(address, Number(firstDataPort));
}
