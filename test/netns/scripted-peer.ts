/** A peer without a daemon: says over the sync link what a test wants said, as flows of a kernel that does not exist. */
import { close } from "../../ffi/libc.ts";
import { bind, openSocket, SOCK_DGRAM, sendTo } from "../../ffi/socket.ts";
import { AF_INET, inetAddress } from "../../ffi/socket-address.ts";
import type { Flow } from "../../src/flow/flow.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import { CT_DESTROY, CT_NEW, CT_UPDATE, putHeader } from "../../src/wire/header.ts";
import { inside } from "../lab/enter.ts";
import type { Namespace } from "../lab/namespace.ts";

const PORT = 3780;

export class ScriptedPeer implements Disposable {
  readonly #fd: number;
  readonly #to: ReturnType<typeof inetAddress>;
  readonly #view = new DataView(new ArrayBuffer(MESSAGE_MAX_BYTES));
  #seq = 1;

  /** Speaks from address `from` of the namespace to `to`, both as numbers. */
  constructor(namespace: Namespace, from: number, to: number) {
    this.#fd = inside(namespace, () => openSocket(AF_INET, SOCK_DGRAM, 0));
    this.#to = inetAddress(to, PORT);
    const bound = bind(this.#fd, inetAddress(from, 0));
    if (bound < 0) throw new Error(`bind answered ${bound}`);
  }

  /** Tells of flows as new ones, a datagram each. */
  tell(...flows: readonly Flow[]): void {
    this.#say(CT_NEW, flows);
  }

  change(...flows: readonly Flow[]): void {
    this.#say(CT_UPDATE, flows);
  }

  end(...flows: readonly Flow[]): void {
    this.#say(CT_DESTROY, flows);
  }

  #say(type: number, flows: readonly Flow[]): void {
    for (const flow of flows) {
      const bytes = encodeFlow(flow, this.#view, 0, false);
      putHeader(this.#view, 0, type, 0, bytes, this.#seq++);
      const sent = sendTo(this.#fd, new Uint8Array(this.#view.buffer), bytes, this.#to);
      if (sent !== bytes) throw new Error(`sendto answered ${sent}`);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}
