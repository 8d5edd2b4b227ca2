/** Options that several commands share. */
import type { ArgsDef } from "citty";
import { DEFAULT_CONFIG_PATH } from "../../config/paths.ts";

export const configOptions = {
  config: {
    type: "string",
    valueHint: "FILE",
    description: "Configuration file",
    default: DEFAULT_CONFIG_PATH,
  },
} as const satisfies ArgsDef;

/** Of every command that talks to the daemon. */
export const clientOptions = {
  ...configOptions,
  socket: {
    type: "string",
    valueHint: "PATH",
    description: "The daemon's control socket; the configuration file is not read then",
  },
} as const satisfies ArgsDef;

export interface ClientArgs {
  readonly config: string;
  readonly socket: string | undefined;
}
