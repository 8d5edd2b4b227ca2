/** What must hold of any flow that a decoder accepted, wherever it came from: it can be printed, sent and committed. */
import { Flow, KEY_WORDS } from "../../src/flow/flow.ts";
import { flowJson } from "../../src/flow/json.ts";
import { flowLine } from "../../src/flow/text.ts";
import { DECODED, decodeConntrack } from "../../src/kernel/ctnetlink.ts";
import { CT_NEW } from "../../src/kernel/ctnetlink-attributes.ts";
import { encodeCreate, encodeUpdate } from "../../src/kernel/encode-conntrack.ts";
import { isUntranslatable } from "../../src/kernel/encode-nat.ts";
import { addressFamilyOf } from "../../src/kernel/encode-tuple.ts";
import { MESSAGE_BYTES_MAX, MessageWriter } from "../../src/kernel/message-writer.ts";
import { encodeFlow, MESSAGE_MAX_BYTES } from "../../src/wire/encode.ts";
import { holds } from "./target.ts";

const writer = new MessageWriter(2 * MESSAGE_BYTES_MAX);
const message = new DataView(new ArrayBuffer(MESSAGE_MAX_BYTES));
const again = new Flow();
const PRINTABLE = /^[\x20-\x7e]+$/;

/**
 * `origin`: a peer, whose texts must be printable; a kernel, whose helpers have the names that it gives them; or changed
 * bytes that no kernel would send, of which only the memory is checked that is written.
 */
export function checkFlow(flow: Flow, origin: "peer" | "kernel" | "nobody"): void {
  const line = flowLine(flow, 1);
  const json = flowJson(flow, 1);
  JSON.parse(json);
  if (origin === "peer") {
    holds(PRINTABLE.test(line), `a flow's line is not printable: ${line}`);
    holds(PRINTABLE.test(json), `a flow's JSON is not printable: ${json}`);
  }
  encodeFlow(flow, message, 0, true); // The memory ends where its room does.
  for (const encode of [encodeCreate, encodeUpdate]) {
    writer.clear();
    writer.begin(CT_NEW, 0, 1, addressFamilyOf(flow.words[0]!));
    encode(writer, flow.words, 300, 0);
    writer.end();
    holds(writer.at <= MESSAGE_BYTES_MAX, `a request of ${writer.at} bytes`);
    if (origin === "nobody" || encode === encodeUpdate || isUntranslatable(flow.words)) continue;
    holds(decodeConntrack(writer.view, 0, writer.at, again.words) === DECODED, "our decoder refuses our own request");
    for (let i = 0; i < KEY_WORDS; i++) holds(again.words[i] === flow.words[i], "our own request names another flow");
  }
}
