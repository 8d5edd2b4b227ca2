/**
 * Settings that exist once for the machine, not per namespace, changed while labs need them and put back after.
 *
 * Several test runs may share the machine. Each lab that needs a setting leaves a file named by its pid and number in
 * /run/ctsync-lab/KEY/, beside the file `original` holding the value found. The last one out restores it; files
 * of processes that died without cleaning up do not count.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "./pid.ts";

const REGISTER = "/run/ctsync-lab";
const ORIGINAL = "original";

const settingFile = (key: string): string => join("/proc/sys", key.replaceAll(".", "/"));

/** `user` is "PID-NUMBER" of the lab. */
export function holdMachineSysctl(key: string, value: number, user: string): void {
  const register = join(REGISTER, key);
  mkdirSync(register, { recursive: true });
  const original = join(register, ORIGINAL);
  if (!existsSync(original)) writeFileSync(original, readFileSync(settingFile(key)));
  writeFileSync(join(register, user), "");
  writeFileSync(settingFile(key), `${value}\n`);
}

/** Drops this user and all dead ones from every setting; restores those nobody uses any more. */
export function releaseMachineSysctls(user: string): void {
  if (!existsSync(REGISTER)) return;
  for (const key of readdirSync(REGISTER)) {
    const register = join(REGISTER, key);
    let usersLeft = 0;
    for (const entry of readdirSync(register)) {
      if (entry === ORIGINAL) continue;
      if (entry === user || !isAlive(Number.parseInt(entry, 10))) rmSync(join(register, entry), { force: true });
      else usersLeft++;
    }
    if (usersLeft > 0) continue;
    const original = join(register, ORIGINAL);
    if (existsSync(original)) writeFileSync(settingFile(key), readFileSync(original));
    rmSync(register, { recursive: true, force: true });
  }
}
