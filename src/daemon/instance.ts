/**
 * One daemon to a control socket. A lock beside the socket says whether its daemon lives: the kernel takes the lock back
 * when a process dies, however it dies, so a socket that a killed daemon left is known to be stale and is replaced (D-003).
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { errnoText } from "../../ffi/errno.ts";
import { lockExclusive } from "../../ffi/libc.ts";
import { type Result, refuse, succeed } from "../result.ts";

export interface Instance {
  /** Gives the socket's place back. */
  release(): void;
}

export function claimInstance(socketPath: string): Result<Instance> {
  const lockPath = `${socketPath}.lock`;
  let fd: number;
  try {
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o755 });
    fd = openSync(lockPath, "a+", 0o600);
  } catch (error) {
    return refuse(`cannot make the control socket ${socketPath}: ${reasonOf(error)}. Choose another control.socket`);
  }
  if (lockExclusive(fd) < 0) {
    const pid = readFileSync(lockPath, "utf8").trim();
    closeSync(fd);
    return refuse(
      `another ctsync daemon${pid === "" ? "" : ` (process ${pid})`} serves ${socketPath}. ` +
        "Stop it (ctsync stop), or give this one another control.socket",
    );
  }
  if (!isAt(fd, lockPath)) {
    closeSync(fd);
    return claimInstance(socketPath); // Its last owner removed it between our opening and our locking it.
  }
  const taken = clearStale(socketPath);
  if (taken !== undefined) {
    removeIfThere(lockPath);
    closeSync(fd);
    return refuse(taken);
  }
  writePid(fd);
  return succeed({
    release: () => {
      removeIfThere(socketPath);
      removeIfThere(lockPath);
      closeSync(fd);
    },
  });
}

/** Only for the sentence that a second daemon says: a full disk is no reason not to serve. */
function writePid(fd: number): void {
  try {
    ftruncateSync(fd, 0);
    writeFileSync(fd, `${process.pid}\n`);
  } catch {
    // The lock holds without it.
  }
}

/** Removes the socket of a daemon that is gone. What is not a socket is not ours to remove: a sentence about it. */
function clearStale(socketPath: string): string | undefined {
  try {
    if (!lstatSync(socketPath).isSocket())
      return `${socketPath} is there and is no socket. Move it away, or choose another control.socket`;
    unlinkSync(socketPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return `cannot replace ${socketPath}: ${reasonOf(error)}`;
  }
  return undefined;
}

/** Whether the open file is still the one at this path. */
function isAt(fd: number, path: string): boolean {
  return fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already: what we wanted.
  }
}

/** "permission denied (EACCES)" */
function reasonOf(error: unknown): string {
  const { code, errno } = error as NodeJS.ErrnoException;
  return code === undefined || errno === undefined ? String(error) : `${errnoText(errno).toLowerCase()} (${code})`;
}
