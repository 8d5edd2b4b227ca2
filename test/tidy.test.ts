/**
 * The rules of the tree, read from its text. Type-only imports count: a type too ties two folders together.
 *
 * Each rule is given a bad sample first, which it must refuse, and then every file there is.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const LINES_MAX = 400;
const NOT_OURS = new Set([".git", "node_modules", "dist", "ffi/lib"]);
/** This file names what it forbids. */
const SELF = "test/tidy.test.ts";

interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly path: string;
  readonly isLazy: boolean;
}

interface Rule {
  readonly name: string;
  readonly governs: (path: string) => boolean;
  /** What is wrong with the file, in words; empty when nothing is. */
  readonly complaints: (file: Source) => readonly string[];
  readonly bad: readonly Source[];
}

/** Every file of ours that is text, with its path from the root. */
function* filesUnder(folder: string): Generator<Source> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (NOT_OURS.has(path) || NOT_OURS.has(entry.name) || path.endsWith(".log")) continue;
    if (entry.isDirectory()) yield* filesUnder(path);
    else if (entry.isFile() && !path.endsWith(".pcap")) yield { path, text: readFileSync(join(ROOT, path), "utf8") };
  }
}

const files = [...filesUnder("")];
const isCode = (path: string): boolean => /\.(ts|mjs)$/.test(path);
const isTest = (path: string): boolean => path.startsWith("test/") || /\.test\.ts$|\/test-[^/]*\.ts$/.test(path);

function importsOf({ text }: Source): Import[] {
  const eager = text.matchAll(/^(?:import|export)\b(?:[^;"']*?\bfrom)?\s*["']([^"']+)["']/gm);
  const lazy = text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g);
  return [
    ...Array.from(eager, ([, path]) => ({ path, isLazy: false })),
    ...Array.from(lazy, ([, path]) => ({ path, isLazy: true })),
  ];
}

type Layer =
  | "core"
  | "shared"
  | "ffi"
  | "kernel"
  | "channel"
  | "recorder"
  | "config"
  | "daemon"
  | "cli"
  | "main"
  | "test"
  | "build"
  | "package.json";

/** What each layer may import of ours besides itself. ffi/ has no row of its own to read: it imports nothing of ours. */
const MAY_IMPORT: Readonly<Record<Layer, readonly Layer[]>> = {
  core: [],
  shared: ["package.json"],
  ffi: [],
  kernel: ["core", "shared", "ffi"],
  channel: ["core", "shared", "ffi", "config", "kernel"],
  config: ["shared"],
  recorder: [],
  daemon: ["core", "shared", "ffi", "config", "kernel", "channel", "recorder"],
  cli: ["shared", "config", "recorder"],
  main: ["cli"],
  test: [
    "core",
    "shared",
    "ffi",
    "config",
    "kernel",
    "channel",
    "recorder",
    "daemon",
    "cli",
    "main",
    "build",
    "package.json",
  ],
  build: ["package.json"],
  "package.json": [],
};
/** The commands that do the daemon's work in their own process; they load it when they are asked for. */
const DAEMON_COMMANDS: readonly string[] = ["src/cli/daemon.ts", "src/cli/drill.ts"];

function layerOf(path: string): Layer {
  if (isTest(path)) return "test";
  const [top, folder] = path.split("/");
  if (top === "package.json") return "package.json";
  if (top === "build.ts") return "build";
  if (top === "ffi") return "ffi";
  if (/^src\/((flow|wire|filter|cache|sync)\/|replica[^/]*\.ts$)/.test(path)) return "core";
  if (/^src\/(report(-[a-z]+)?|result|version)\.ts$/.test(path)) return "shared";
  if (path === "src/main.ts") return "main";
  for (const layer of ["kernel", "channel", "recorder", "config", "daemon", "cli"] as const)
    if (folder === layer) return layer;
  throw new Error(`${path} belongs to no layer: give it one in ${SELF}`);
}

const isOurs = (imported: string): boolean => imported.startsWith(".");

function wrongImports(file: Source): string[] {
  const from = layerOf(file.path);
  return importsOf(file)
    .filter(({ path }) => isOurs(path))
    .map(({ path, isLazy }) => ({ path: join(dirname(file.path), path), isLazy }))
    .filter(({ path, isLazy }) => {
      const to = layerOf(path);
      const isDaemonCommand = DAEMON_COMMANDS.includes(file.path) && to === "daemon" && isLazy;
      return to !== from && !MAY_IMPORT[from].includes(to) && !isDaemonCommand;
    })
    .map(({ path }) => `imports ${path}: ${from} may not import ${layerOf(path)}`);
}

/** Modules that are not files of ours, by who may import them. */
function wrongPackages(file: Source): string[] {
  const allowed: Partial<Record<Layer, RegExp>> = {
    core: /^$/,
    recorder: /^$/,
    shared: /^$/,
    ffi: /^(bun:ffi$|bun:jsc$|node:)/,
    kernel: /^$/,
    channel: /^node:crypto$/,
    daemon: /^node:/,
  };
  const pattern = allowed[layerOf(file.path)] ?? /^(?!bun:ffi$)/;
  return importsOf(file)
    .filter(({ path }) => !isOurs(path) && !pattern.test(path))
    .map(({ path }) => `imports ${path}`);
}

const transpiler = new Bun.Transpiler({ loader: "ts" });
const IMPURE =
  /\b(Date|performance|Math\.random|crypto|setTimeout|setInterval|setImmediate|queueMicrotask|process|Bun|console|fetch|async|await|Promise)\b/g;

/** Looks at the code alone: comments are gone and so are types. */
const impurities = ({ text }: Source): string[] =>
  Array.from(transpiler.transformSync(text).matchAll(IMPURE), ([word]) => `says ${word}`);

const matches =
  (pattern: RegExp) =>
  ({ text }: Source): string[] =>
    Array.from(text.matchAll(pattern), ([found]) => `says ${found.trim()}`);

const RULES: readonly Rule[] = [
  {
    name: "a layer imports only the layers it may",
    governs: (path) => isCode(path) && /^(src|ffi|test)\//.test(path) && path !== SELF,
    complaints: wrongImports,
    bad: [
      { path: "src/flow/text.ts", text: 'import { explain } from "../kernel/kernel-error.ts";' },
      { path: "src/sync/ftfw.ts", text: 'import type { Result } from "../result.ts";' },
      { path: "src/cache/slab.ts", text: 'export * from "../../ffi/memory.ts";' },
      { path: "src/replica.ts", text: 'import {\n  a,\n  b,\n} from "./daemon/clock.ts";' },
      { path: "src/config/load.ts", text: 'import { Errno } from "../../ffi/errno.ts";' },
      { path: "ffi/errno.ts", text: 'import type { Flow } from "../src/flow/flow.ts";' },
      { path: "src/cli/status.ts", text: 'const { run } = await import("../daemon/run.ts");' },
      { path: "src/cli/daemon.ts", text: 'import { runDaemon } from "../daemon/run.ts";' },
      { path: "src/cli/dump.ts", text: 'import type { Flow } from "../flow/flow.ts";' },
      { path: "src/kernel/dump.ts", text: 'import { until } from "../../test/lab/until.ts";' },
      { path: "src/daemon/run.ts", text: 'import "../cli/status.ts";' },
    ],
  },
  {
    name: "only ffi/ and its tests import bun:ffi, and the core imports no module at all",
    governs: (path) => isCode(path) && /^(src|ffi)\//.test(path) && !isTest(path),
    complaints: wrongPackages,
    bad: [
      { path: "src/wire/put.ts", text: 'import { readFileSync } from "node:fs";' },
      { path: "src/filter/x.ts", text: 'import type { IPv4 } from "ipaddr.js";' },
      { path: "src/replica.ts", text: 'import { sleep } from "bun";' },
      { path: "src/kernel/x.ts", text: 'import { ptr } from "bun:ffi";' },
      { path: "src/cli/x.ts", text: 'import { ptr } from "bun:ffi";' },
      { path: "ffi/load.ts", text: 'import fc from "fast-check";' },
    ],
  },
  {
    name: "the core has no clock, chance, input, output or waiting",
    governs: (path) => isCode(path) && path.startsWith("src/") && ["core", "recorder"].includes(layerOf(path)),
    complaints: impurities,
    bad: [
      "const now = Date.now();",
      "const now = performance.now();",
      "const n = Math.random();",
      "setTimeout(() => 0, 5);",
      "const home = process.env.HOME;",
      "Bun.sleepSync(1);",
      'console.log("x");',
      "export async function f() {}",
      "await 0;",
    ].map((text) => ({ path: "src/sync/ftfw.ts", text })),
  },
  {
    name: "nothing is left for later, switched off or typed away",
    governs: (path) => isCode(path) && path !== SELF,
    complaints: matches(
      /\b(TODO|FIXME|XXX)\b|(?<=[\w)\]])\.(only|skip|skipIf|todo|todoIf)\(|\bas any\b(?! \w)|@ts-(ignore|nocheck|expect-error)/g,
    ),
    bad: [
      "// TODO: later",
      "// FIXME",
      'test.only("x", f);',
      'test.skip("x", f);',
      "const x = y as any;",
      "// @ts-ignore: known",
    ].map((text) => ({ path: "src/main.ts", text })),
  },
  {
    name: `no file is longer than ${LINES_MAX} lines`,
    governs: (path) => isCode(path) && /^(src|ffi)\//.test(path),
    complaints: ({ text }) => {
      const lines = text.trimEnd().split("\n").length;
      return lines > LINES_MAX ? [`has ${lines} lines`] : [];
    },
    bad: [{ path: "src/main.ts", text: "x;\n".repeat(LINES_MAX + 1) }],
  },
  {
    name: "no package registry's host is named",
    governs: () => true,
    complaints: matches(/\b((registry|npm|packages|artifacts)\.[a-z0-9-]+|npm[a-z0-9-]*)\.(org|com|net|dev|io)\b/gi),
    bad: ["registry.example", "npm.example"].map((host) => ({ path: ".npmrc", text: `registry=https://${host}.org/` })),
  },
  {
    name: "no path of one developer's machine is named",
    governs: () => true,
    complaints: matches(/(?<![\w.*)}-])\/(work|Users|home\/[a-z]+)\/\S*/g),
    bad: ["work", "home/jo", "Users"].map((home) => ({ path: "README.md", text: `cd /${home}/ctsync` })),
  },
  {
    name: "the lock file pins versions and contents, not where they are downloaded",
    governs: (path) => path === "package-lock.json",
    complaints: matches(/"resolved"/g),
    bad: [{ path: "package-lock.json", text: '"resolved": "https://host/x.tgz"' }],
  },
];

describe.each([...RULES])("$name", (rule) => {
  test.each([...rule.bad])("bad sample %# is refused", (sample) => {
    expect(rule.governs(sample.path)).toBe(true);
    expect(rule.complaints(sample)).not.toEqual([]);
  });

  test("every file keeps to it", () => {
    const governed = files.filter(({ path }) => rule.governs(path));
    expect(governed).not.toEqual([]);
    expect(governed.flatMap((file) => rule.complaints(file).map((complaint) => `${file.path} ${complaint}`))).toEqual(
      [],
    );
  });
});

describe("the reading of imports", () => {
  test("finds all that Bun itself finds", () => {
    const missed = files
      .filter(({ path }) => path.endsWith(".ts") && !path.endsWith(".d.ts"))
      .flatMap((file) => {
        const found = new Set(importsOf(file).map(({ path }) => path));
        return transpiler
          .scanImports(file.text.replace(/^#!.*/, ""))
          .filter(({ path }) => !found.has(path))
          .map(({ path }) => `${file.path} imports ${path}`);
      });
    expect(missed).toEqual([]);
  });

  test("counts types, re-exports, imports for effect and lazy ones", () => {
    const text = [
      'import type { A } from "./a.ts";',
      'export type { B } from "./b.ts";',
      'import "./c.ts";',
      'const d = () => import("./d.ts");',
      'let e: import("./e.ts").E;',
    ].join("\n");
    expect(importsOf({ path: "src/x.ts", text }).map(({ path }) => path)).toEqual(
      ["a", "b", "c", "d", "e"].map((name) => `./${name}.ts`),
    );
  });
});
