/** Reads a key file, if nobody but its owner could have, and writes one so that a half of it is never seen. */
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Result, refuse, succeed } from "../result.ts";
import { type LinkKeys, parseLinkKeys } from "./link-key.ts";

/** No key file is longer. */
const FILE_BYTES_MAX = 8_192;

/**
 * Reads the keys at `path`. A daemon whose unit has LoadCredential= finds a copy of the file under its name in the
 * directory that systemd made for it, though the file itself is root's alone; then that one is read.
 */
export function readLinkKeys(path: string, credentials = process.env.CREDENTIALS_DIRECTORY): Result<LinkKeys> {
  const given = credentials === undefined ? undefined : join(credentials, basename(path));
  const isGiven = given !== undefined && existsSync(given);
  const text = readSecret(isGiven ? given : path, isGiven);
  return text.ok ? keysIn(text.value, isGiven ? given : path) : text;
}

export function keysIn(text: string, path: string): Result<LinkKeys> {
  const keys = parseLinkKeys(text);
  return keys.ok ? keys : refuse(`${path}: ${keys.error}`);
}

/** The text of a file that none but root and this process's user can read. */
export function readSecret(path: string, isCredential = false): Result<string> {
  let fd = -1;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(fd);
    const fault = unfit(found, isCredential);
    if (fault !== undefined) return refuse(`${path}: ${fault}`);
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > FILE_BYTES_MAX)
      return refuse(`${path}: this is no key file: it has more than ${FILE_BYTES_MAX} bytes`);
    return succeed(bytes.toString("utf8", 0, length));
  } catch (error) {
    return refuse(`${path}: ${unreadable((error as NodeJS.ErrnoException).code ?? String(error), path)}`);
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Of a credential, systemd lets its user read it by an ACL, which shows among the group's bits. */
function unfit(found: Stats, isCredential: boolean): string | undefined {
  if (!found.isFile()) return "this is no file. A key file is made by: ctsync keygen";
  const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
  if ((found.mode & (isCredential ? 0o037 : 0o077)) !== 0) {
    return `others than its owner may use it (mode ${mode}), so it is no secret. Make a new key, or: chmod 600 it`;
  }
  const user = process.geteuid?.() ?? 0;
  if (found.uid !== 0 && found.uid !== user) return `it belongs to user ${found.uid}: make it root's, with chown root`;
  return undefined;
}

function unreadable(code: string, path: string): string {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such file. Make it on one firewall with: ctsync keygen, and copy it to the other";
    case "EACCES":
    case "EPERM":
      return (
        "permission to read it is denied. Run ctsync as root, or give its unit " +
        `LoadCredential=${basename(path)}:${path}`
      );
    default:
      return `it cannot be read (${code})`;
  }
}

/** Writes the file with mode 0600, whole or not at all; "new" refuses to write over another one. */
export function writeSecret(path: string, text: string, how: "new" | "replace"): Result<undefined> {
  const beside = `${path}.${process.pid}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const fd = openSync(beside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      if (process.geteuid?.() === 0) fchownSync(fd, 0, 0);
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (how === "replace") renameSync(beside, path);
    else linkSync(beside, path); // A rename would replace what is there; this fails.
    return succeed(undefined);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return refuse(code === "EEXIST" ? `${path} is there already` : `${path}: it cannot be written (${code})`);
  } finally {
    rmSync(beside, { force: true });
  }
}
