#!/usr/bin/env bun
/**
 * The root command. Each sub-command is imported when it is asked for, so that `ctsync notify`, which runs while
 * connections wait, loads nothing but its own few files.
 */
import { defineCommand } from "citty";
import { runCommandLine } from "./cli/support/run.ts";

const root = defineCommand({
  meta: {
    name: "ctsync",
    description: `Keep connections alive when a Linux firewall dies

ctsync replicates the kernel's connection-tracking table to a second firewall. It is the daemon, the command line that
talks to it, and the notify script of keepalived.`,
  },
  subCommands: {
    daemon: () => import("./cli/daemon.ts").then((file) => file.default),
    notify: () => import("./cli/notify.ts").then((file) => file.default),
    status: () => import("./cli/status.ts").then((file) => file.default),
    stats: () => import("./cli/stats.ts").then((file) => file.default),
    ready: () => import("./cli/ready.ts").then((file) => file.default),
    verify: () => import("./cli/verify.ts").then((file) => file.default),
    dump: () => import("./cli/dump.ts").then((file) => file.default),
    commit: () => import("./cli/commit.ts").then((file) => file.default),
    flush: () => import("./cli/flush.ts").then((file) => file.default),
    resync: () => import("./cli/resync.ts").then((file) => file.default),
    bulk: () => import("./cli/bulk.ts").then((file) => file.default),
    request: () => import("./cli/request.ts").then((file) => file.default),
    "reset-timers": () => import("./cli/reset-timers.ts").then((file) => file.default),
    keygen: () => import("./cli/keygen.ts").then((file) => file.default),
    rekey: () => import("./cli/rekey.ts").then((file) => file.default),
    handover: () => import("./cli/handover.ts").then((file) => file.default),
    drill: () => import("./cli/drill.ts").then((file) => file.default),
    timeline: () => import("./cli/timeline.ts").then((file) => file.default),
    stop: () => import("./cli/stop.ts").then((file) => file.default),
    config: () => import("./cli/config.ts").then((file) => file.default),
  },
});

await runCommandLine(root, process.argv.slice(2));
