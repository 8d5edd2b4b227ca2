/**
 * FTP: a control connection on which it is agreed before an event where a file will be fetched (PASV) or brought (PORT), and
 * the data connection, which is opened only after it. The firewalls let it pass for what their helper expects.
 */
import { createConnection, createServer, type Server as Listener, type Socket } from "node:net";
import { FTP_CONTENT } from "../lab/ftp-server.ts";
import { type ClientKind, FTP_ACTIVE_PORT, FTP_PORTS } from "./traffic-protocol.ts";
import { nowMs, Stream } from "./traffic-stream.ts";

const CONTROL_PORT = 21;
let listened = 0;

export class Ftp extends Stream {
  readonly #server: string;
  /** Our own address, to which the server brings the file; none: we fetch it. */
  readonly #own: string | undefined;
  protected override readonly answersNeeded = 1;
  override readonly isUsedOnce = true;
  #control: Socket | undefined;
  #data: Socket | undefined;
  #listener: Listener | undefined;
  #heard = "";
  #answered: (line: string) => void = () => undefined;
  #dataPort = 0;
  #isAgreed = false;
  #content = "";
  #isSent = false;

  constructor(kind: ClientKind, number: number, server: string, own?: string) {
    super(kind, number);
    this.#server = server;
    this.#own = own;
  }

  async open(): Promise<void> {
    const greeted = this.#next(/^220 /);
    const control = createConnection(CONTROL_PORT, this.#server);
    this.#control = control;
    control.setNoDelay(true);
    control.on("connect", () => {
      this.openedMs = nowMs();
      this.localPort = control.localPort ?? 0;
    });
    control.on("data", (bytes) => this.#hear(bytes.toString()));
    control.on("error", (error: NodeJS.ErrnoException) => this.end(`control: ${error.code}`));
    control.on("close", () => this.end("control: closed"));
    await greeted;
    await this.#say("USER suite", /^200 /); // The helper believes no line that does not follow another.
    await this.renew();
  }

  get ready(): boolean {
    return this.#isAgreed;
  }

  override async renew(): Promise<void> {
    if (this.#isAgreed) return;
    this.#data?.destroy();
    this.#listener?.close();
    this.#content = "";
    this.#isSent = false;
    if (this.#own === undefined) {
      const [, high, low] = /(\d+),(\d+)\)/.exec(await this.#say("PASV", /^227 /)) ?? [];
      this.#dataPort = Number(high) * 256 + Number(low);
    } else {
      const port = FTP_ACTIVE_PORT + (listened++ % FTP_PORTS);
      this.#listener = createServer((data) => this.#receive(data)).listen(port, this.#own);
      await this.#say(`PORT ${this.#own.replaceAll(".", ",")},${port >> 8},${port & 0xff}`, /^200 /);
    }
    this.#isAgreed = true;
  }

  override prove(): void {
    this.#isAgreed = false;
    if (this.#own === undefined) this.#receive(createConnection(this.#dataPort, this.#server));
    this.#control?.write("RETR file\r\n");
  }

  terminate(): void {
    this.end("reset by us");
    this.#listener?.close();
    this.#data?.destroy();
    this.#control?.resetAndDestroy();
  }

  #receive(data: Socket): void {
    this.#data = data;
    data.on("data", (bytes) => {
      this.#content += bytes.toString();
      this.#done();
    });
    data.on("error", (error: NodeJS.ErrnoException) => this.end(`data: ${error.code}`));
  }

  /** The file has come, and the server has said so: both connections work. */
  #done(): void {
    if (this.#isSent && this.#content === `${FTP_CONTENT}\n`) this.arrivals.came();
  }

  #hear(text: string): void {
    const lines = (this.#heard + text).split("\r\n");
    this.#heard = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("226 ")) {
        this.#isSent = true;
        this.#done();
      } else this.#answered(line);
    }
  }

  #say(words: string, answer: RegExp): Promise<string> {
    const next = this.#next(answer);
    this.#control?.write(`${words}\r\n`);
    return next;
  }

  #next(answer: RegExp): Promise<string> {
    return new Promise((resolve) => {
      this.#answered = (line) => {
        if (answer.test(line)) resolve(line);
      };
    });
  }
}
