/**
 * Lets one more user read a file, or enter a folder, by an access control list, as systemd does with a credential:
 *
 *   bun test/lab/grant-reading.ts USER PATH        USER: a number
 *
 * The list says what the mode says of owner and others, and of USER the owner's rights. Layout: linux/posix_acl_xattr.h:
 *
 *   u32 version (2), then entries   u16 tag, u16 rights, u32 id      little-endian, by tag
 */
import { statSync } from "node:fs";
import { errnoName, negative } from "../../ffi/errno.ts";
import { load } from "../../ffi/load.ts";

const c = load("libc.so.6", "libc6", {
  setxattr: { args: ["cstring", "cstring", "buffer", "u64_fast", "i32"], returns: "i32" },
});

const [USER_OBJ, USER, GROUP_OBJ, MASK, OTHER] = [0x01, 0x02, 0x04, 0x10, 0x20];
const NOBODY = 0xffff_ffff;

const [user = "", path = ""] = process.argv.slice(2);
const { mode } = statSync(path);
const owners = (mode >> 6) & 7;
const entries = [
  [USER_OBJ, owners, NOBODY],
  [USER, owners, Number(user)],
  [GROUP_OBJ, (mode >> 3) & 7, NOBODY],
  [MASK, owners, NOBODY],
  [OTHER, mode & 7, NOBODY],
] as const;
const list = new DataView(new ArrayBuffer(4 + 8 * entries.length));
list.setUint32(0, 2, true);
for (const [i, [tag, rights, id]] of entries.entries()) {
  list.setUint16(4 + 8 * i, tag, true);
  list.setUint16(6 + 8 * i, rights, true);
  list.setUint32(8 + 8 * i, id, true);
}
const answer = negative(c.setxattr(path, "system.posix_acl_access", list, list.byteLength, 0));
if (answer < 0) {
  console.error(`grant-reading: ${path}: ${errnoName(answer)}`);
  process.exit(1);
}
