/** Takes the keys that the key file has now. */
import { parseLinkKeys } from "../../config/link-key.ts";
import type { RekeyReport } from "../../report.ts";
import { succeed } from "../../result.ts";
import type { Job } from "../jobs.ts";
import type { Node } from "../node.ts";

export function* rekey(node: Node, text: string, force: boolean): Job<RekeyReport> {
  const [link] = node.links;
  const { seal } = link;
  if (seal === undefined) {
    return { ok: false, error: { error: "this daemon's link has no key: set link.key_file and restart ctsync" } };
  }
  const keys = parseLinkKeys(text);
  if (!keys.ok) return { ok: false, error: { error: `the keys it was sent: ${keys.error}` } };
  const ids = keys.value.map(({ id }) => id);
  const { peerKey } = seal;
  if (peerKey !== undefined && !ids.includes(peerKey) && !force) {
    const error =
      `${link.peer} still sends with key ${peerKey}, which is not in the file: all it says would be refused. ` +
      "Let it take the new keys first (ctsync rekey there), or use --force";
    return { ok: false, error: { error } };
  }
  seal.rekey(keys.value);
  node.log.info(`new keys: sends with ${ids[0]}, accepts ${ids.join(" and ")}`);
  return succeed({ key: ids[0], accepted: ids });
}
