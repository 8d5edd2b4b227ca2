/**
 * Where the daemon's control socket is, learnt with as little as possible: `notify master` must reach the daemon even
 * when somebody has just broken an unrelated line of the configuration. So the file is not validated here.
 */
import { readFileSync } from "node:fs";
import { DEFAULT_SOCKET_PATH } from "../../config/paths.ts";
import type { ClientArgs } from "./options.ts";

export function socketPath(args: ClientArgs): string {
  if (args.socket !== undefined) return args.socket;
  let text: string;
  try {
    text = readFileSync(args.config, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    console.error(
      `ctsync: cannot read ${args.config} (${code}), so the control socket is taken to be ${DEFAULT_SOCKET_PATH}`,
    );
    return DEFAULT_SOCKET_PATH;
  }
  return socketIn(text) ?? DEFAULT_SOCKET_PATH;
}

/** `control.socket` of a configuration, read from its lines when the text as a whole is no TOML. */
export function socketIn(text: string): string | undefined {
  try {
    const { control } = Bun.TOML.parse(text) as { readonly control?: { readonly socket?: unknown } };
    return typeof control?.socket === "string" ? control.socket : undefined;
  } catch {
    const table =
      /^[ \t]*\[[ \t]*control[ \t]*\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n)*?[ \t]*socket[ \t]*=[ \t]*["']([^"'\n]+)["']/m;
    return table.exec(text)?.[1];
  }
}
