/** How a command ends: 0 done, 1 failed, 2 wrong use. The exit code is set, not forced, so that output still drains. */
const FAILED = 1;
const WRONG_USE = 2;

/** The work could not be done. */
export function fail(text: string): void {
  console.error(text);
  process.exitCode = FAILED;
}

/** The command was called in a way that means nothing; `command` is what to ask for help, such as `dump`. */
export function wrongUse(command: string, text: string): void {
  const name = `ctsync ${command}`.trimEnd();
  console.error(`${name}: ${text}\nSee: ${name} --help`);
  process.exitCode = WRONG_USE;
}

/** `1 flow`, `1200 flows`: plain digits, because scripts read the answers of commands. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** `1,200`: for the eye. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
