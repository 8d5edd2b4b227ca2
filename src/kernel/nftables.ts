/**
 * nf_tables over netlink, as much of it as the takeover gate needs: batches of changes that the kernel takes whole or not
 * at all, and the expressions that a rule is made of.
 *
 *   message     byte  0               16      17       18           20
 *                     netlink header  family  version  resource id  attributes
 *
 * The resource id is big-endian, and so are numbers in attributes; what a rule compares lies as in the packet, or as in
 * the machine's registers where the kernel loads a number of its own (`ct state`).
 * Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h, linux/netfilter.h.
 */
import { MessageWriter } from "./message-writer.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./netlink.ts";

const NFPROTO_INET = 1;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_IPV6 = 10;

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
/** Room for everything but elements, and for each of those. */
const BATCH_BYTES = 16_384;
const ELEMENT_BYTES_MAX = 48;
/** An attribute is no longer than 65,535 bytes, with all that is nested in it. */
const ELEMENTS_PER_MESSAGE = 1_000;

/** Message types: the subsystem in the high byte. */
const message = (number: number): number => (NFNL_SUBSYS_NFTABLES << 8) | number;
const NEWTABLE = message(0);
export const GETTABLE = message(1);
const DELTABLE = message(2);
const NEWCHAIN = message(3);
const NEWRULE = message(6);
const NEWSET = message(9);
const NEWSETELEM = message(12);
const DELSETELEM = message(14);
const NEWOBJ = message(18);
export const GETOBJ = message(19);

const NLM_F_APPEND = 0x800;

export const NFTA_TABLE_NAME = 1;
export const NFTA_TABLE_FLAGS = 2;
export const NFTA_TABLE_USERDATA = 6;
/** The table goes when the socket that made it closes, and nobody else changes it (Linux 5.12). */
export const NFT_TABLE_F_OWNER = 2;
/** nft's comment: type, length, text with its zero. */
const UDATA_TABLE_COMMENT = 0;

/** Hooks of the family inet. */
export const NF_INET_LOCAL_IN = 1;
export const NF_INET_FORWARD = 2;
/** Before every chain that an administrator is likely to have there, and after the kernel has looked for the state. */
export const PRIORITY_RAW = -300;

/** nft's names for the types of keys, so that `nft list` prints them as one writes them. */
export const KEY_NFPROTO = { type: 2, lengthBytes: 1 };
export const KEY_IPV4 = { type: 7, lengthBytes: 4 };
export const KEY_IPV6 = { type: 8, lengthBytes: 16 };
export const KEY_IFNAME = { type: 41, lengthBytes: 16 };
export const NFT_SET_TIMEOUT = 0x10;

/** For nft: keys of this set are in the machine's byte order, as text is. */
const TEXT_KEY_DATA = [0, 4, 1, 0, 0, 0];

const NFT_REG_VERDICT = 0;
const NFT_REG_1 = 1;
const NFT_OBJECT_COUNTER = 1;
export const NFTA_OBJ_TABLE = 1;
export const NFTA_OBJ_NAME = 2;
export const NFTA_OBJ_TYPE = 3;
export const NFTA_OBJ_DATA = 4;
export const NFTA_COUNTER_PACKETS = 2;
const NFTA_LIST_ELEM = 1;

export const NF_DROP = 0;
export const NFT_RETURN = -5;
export const NFT_GOTO = -4;

export const META_IIFNAME = 6;
export const META_NFPROTO = 15;
export const META_L4PROTO = 16;
export const PAYLOAD_NETWORK = 1;
export const PAYLOAD_TRANSPORT = 2;

/** One expression of a rule: writes its attributes. */
export type Expression = (writer: MessageWriter) => void;

const expression =
  (name: string, fill: (writer: MessageWriter) => void): Expression =>
  (writer) => {
    const element = writer.nest(NFTA_LIST_ELEM);
    writer.text(1, name); // NFTA_EXPR_NAME
    const data = writer.nest(2); // NFTA_EXPR_DATA
    fill(writer);
    writer.unnest(data);
    writer.unnest(element);
  };

function value(writer: MessageWriter, type: number, bytes: ArrayLike<number>): void {
  const data = writer.nest(type);
  writer.raw(1, bytes); // NFTA_DATA_VALUE
  writer.unnest(data);
}

export const meta = (key: number): Expression =>
  expression("meta", (writer) => {
    writer.u32(1, NFT_REG_1);
    writer.u32(2, key);
  });

/** The state of the packet's connection: a bit set, in the machine's byte order. */
export const ctState = (): Expression =>
  expression("ct", (writer) => {
    writer.u32(1, NFT_REG_1);
    writer.u32(2, 0); // NFT_CT_STATE
  });

export const payload = (base: number, offset: number, lengthBytes: number): Expression =>
  expression("payload", (writer) => {
    writer.u32(1, NFT_REG_1);
    writer.u32(2, base);
    writer.u32(3, offset);
    writer.u32(4, lengthBytes);
  });

export const mask = (bits: readonly number[]): Expression =>
  expression("bitwise", (writer) => {
    writer.u32(1, NFT_REG_1);
    writer.u32(2, NFT_REG_1);
    writer.u32(3, bits.length);
    value(writer, 4, bits);
    value(writer, 5, new Uint8Array(bits.length)); // The mask alone: nothing is flipped.
  });

export const compare = (operation: "equal" | "unequal", bytes: ArrayLike<number>): Expression =>
  expression("cmp", (writer) => {
    writer.u32(1, NFT_REG_1);
    writer.u32(2, operation === "equal" ? 0 : 1);
    value(writer, 3, bytes);
  });

export const isIn = (set: string): Expression =>
  expression("lookup", (writer) => {
    writer.text(1, set);
    writer.u32(2, NFT_REG_1);
  });

export const count = (counter: string): Expression =>
  expression("objref", (writer) => {
    writer.u32(1, NFT_OBJECT_COUNTER);
    writer.text(2, counter);
  });

/** To whoever reads that group of nfnetlink_log: the first bytes of the packet, at once. */
export const log = (group: number, lengthBytes: number): Expression =>
  expression("log", (writer) => {
    writer.u16(1, group); // NFTA_LOG_GROUP
    writer.u32(3, lengthBytes); // NFTA_LOG_SNAPLEN
    writer.u16(4, 1); // NFTA_LOG_QTHRESHOLD
  });

export const verdict = (code: number, chain?: string): Expression =>
  expression("immediate", (writer) => {
    writer.u32(1, NFT_REG_VERDICT);
    const data = writer.nest(2);
    const nested = writer.nest(2); // NFTA_DATA_VERDICT
    writer.u32(1, code);
    if (chain !== undefined) writer.text(2, chain);
    writer.unnest(nested);
    writer.unnest(data);
  });

/** Changes to one table of the family inet that the kernel makes all at once, or not at all. */
export class NftBatch {
  readonly #writer: MessageWriter;
  readonly #table: string;
  #sequence = 0;

  /** `elementsMax`: of all sets together. */
  constructor(table: string, elementsMax = 2) {
    this.#writer = new MessageWriter(BATCH_BYTES + elementsMax * ELEMENT_BYTES_MAX);
    this.#table = table;
    this.#edge(NFNL_MSG_BATCH_BEGIN);
  }

  createTable(flags: number, comment: string): void {
    this.#message(NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
      writer.text(NFTA_TABLE_NAME, this.#table);
      writer.u32(NFTA_TABLE_FLAGS, flags);
      writer.raw(NFTA_TABLE_USERDATA, commentData(comment));
    });
  }

  deleteTable(): void {
    this.#message(DELTABLE, 0, (writer) => writer.text(NFTA_TABLE_NAME, this.#table));
  }

  counter(name: string): void {
    this.#message(NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
      writer.text(NFTA_OBJ_TABLE, this.#table);
      writer.text(NFTA_OBJ_NAME, name);
      writer.u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
      const data = writer.nest(NFTA_OBJ_DATA);
      writer.u64(1, 0);
      writer.u64(NFTA_COUNTER_PACKETS, 0);
      writer.unnest(data);
    });
  }

  /** `id` tells sets of one batch apart. */
  set(name: string, id: number, key: { readonly type: number; readonly lengthBytes: number }, flags = 0): void {
    this.#message(NEWSET, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
      writer.text(1, this.#table);
      writer.text(2, name);
      writer.u32(3, flags);
      writer.u32(4, key.type);
      writer.u32(5, key.lengthBytes);
      writer.u32(10, id);
      if (key.type === KEY_IFNAME.type) writer.raw(13, TEXT_KEY_DATA); // NFTA_SET_USERDATA
    });
  }

  /** Elements that stay, or are gone after `timeoutMs`. */
  elements(set: string, keys: readonly ArrayLike<number>[], timeoutMs = 0): void {
    if (keys.length === 0) return;
    if (keys.length > ELEMENTS_PER_MESSAGE) {
      this.elements(set, keys.slice(ELEMENTS_PER_MESSAGE), timeoutMs);
      keys = keys.slice(0, ELEMENTS_PER_MESSAGE);
    }
    this.#message(NEWSETELEM, NLM_F_CREATE, (writer) => {
      writer.text(1, this.#table);
      writer.text(2, set);
      const list = writer.nest(3);
      for (const key of keys) {
        const element = writer.nest(NFTA_LIST_ELEM);
        value(writer, 1, key);
        if (timeoutMs > 0) writer.u64(4, timeoutMs);
        writer.unnest(element);
      }
      writer.unnest(list);
    });
  }

  /** Takes every element out; a set that has none stays as it is. */
  flush(set: string): void {
    this.#message(DELSETELEM, 0, (writer) => {
      writer.text(1, this.#table);
      writer.text(2, set);
    });
  }

  /** A chain that rules go to, or with `hook` one that the kernel goes to. Packets that no rule stops pass. */
  chain(name: string, hook?: number, priority = 0): void {
    this.#message(NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
      writer.text(1, this.#table);
      writer.text(3, name);
      if (hook === undefined) return;
      const nested = writer.nest(4);
      writer.u32(1, hook);
      writer.u32(2, priority);
      writer.unnest(nested);
      writer.u32(5, 1); // NF_ACCEPT
      writer.text(7, "filter");
    });
  }

  rule(chain: string, ...expressions: readonly Expression[]): void {
    this.#message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, (writer) => {
      writer.text(1, this.#table);
      writer.text(2, chain);
      const list = writer.nest(4);
      for (const write of expressions) write(writer);
      writer.unnest(list);
    });
  }

  /** The batch as it is sent; nothing is added afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#edge(NFNL_MSG_BATCH_END);
    return this.#writer.bytes.slice(0, this.#writer.at);
  }

  #message(type: number, flags: number, fill: (writer: MessageWriter) => void): void {
    this.#writer.begin(type, flags, ++this.#sequence, NFPROTO_INET);
    fill(this.#writer);
    this.#writer.end();
  }

  /** Begin and end name the subsystem as their resource. */
  #edge(type: number): void {
    this.#writer.begin(type, 0, ++this.#sequence, NFNL_SUBSYS_NFTABLES << 24);
    this.#writer.end();
  }
}

export const commentData = (comment: string): Uint8Array =>
  Uint8Array.from([UDATA_TABLE_COMMENT, comment.length + 1, ...Buffer.from(`${comment}\0`, "latin1")]);

/** A question that is no change, such as GETOBJ. */
export function nftRequest(type: number, fill: (writer: MessageWriter) => void): Uint8Array<ArrayBuffer> {
  const writer = new MessageWriter(512);
  writer.begin(type, 0, 1, NFPROTO_INET);
  fill(writer);
  writer.end();
  return writer.bytes.slice(0, writer.at);
}
