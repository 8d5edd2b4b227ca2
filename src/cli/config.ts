import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "config", description: "Check the configuration file, or show the effective settings" },
  subCommands: {
    check: () => import("./config-check.ts").then((file) => file.default),
    show: () => import("./config-show.ts").then((file) => file.default),
  },
});
