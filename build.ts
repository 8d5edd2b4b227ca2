/**
 * Builds dist/ctsync: daemon, command line and keepalived handler in one executable that carries its three netfilter
 * libraries. It runs wherever glibc 2.17 or newer does.
 *
 *   bun build.ts               the executable, for the machine it is built on
 *   bun build.ts --libraries   only fills ffi/lib, which running from source needs too
 *
 * The runtime inside is the Bun that runs this file, so nothing is downloaded. Bun's x86-64 build needs no AVX2: since
 * 1.4 its "baseline" package is the same file (D-003 in ffi/DECISIONS.md).
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { relative } from "node:path";
import packageJson from "./package.json";

const ROOT = import.meta.dirname;
const EXECUTABLE = `${ROOT}/dist/ctsync`;
const LIBRARY_FOLDER = `${ROOT}/ffi/lib`;
const DEBIAN_FOLDER = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
const DEBIAN_PACKAGES = {
  "libmnl.so.0": "libmnl0",
  "libnfnetlink.so.0": "libnfnetlink0",
  "libnetfilter_conntrack.so.3": "libnetfilter-conntrack3",
} as const;

/** What is wrong, in one sentence with advice; undefined when all is well. */
type Complaint = string | undefined;

/** Copies this machine's netfilter libraries to where ffi/libraries.ts imports them; leaves a copy that is the same. */
export function fillLibraries(): Complaint {
  mkdirSync(LIBRARY_FOLDER, { recursive: true });
  for (const [soname, debianPackage] of Object.entries(DEBIAN_PACKAGES)) {
    const original = readIfThere(`${DEBIAN_FOLDER}/${soname}`);
    if (original === undefined) {
      return `${DEBIAN_FOLDER}/${soname} is missing: install Debian's ${debianPackage} (apt-get install ${debianPackage})`;
    }
    const copy = `${LIBRARY_FOLDER}/${soname}`;
    if (!readIfThere(copy)?.equals(original)) writeFileSync(copy, original);
  }
  return undefined;
}

/** Refuses a core that could touch the world: whatever `entry` reaches may import neither Bun's nor Node's modules. */
export async function checkPure(entry: string): Promise<Complaint> {
  const impure = new Set<string>();
  const { success, logs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    throw: false,
    plugins: [
      {
        name: "pure core",
        setup(build) {
          build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
            if (!isBuiltin(path) && path !== "bun" && !path.startsWith("bun:")) return undefined;
            impure.add(`${relative(ROOT, importer)} imports ${path}`);
            return { path, external: true };
          });
        },
      },
    ],
  });
  if (impure.size > 0) return `the core must stay pure, but ${[...impure].join(", ")}`;
  return success ? undefined : inWords(logs);
}

/**
 * Bytecode and one chunk for each command bring `ctsync --version` from 34 to 6 ms. Names are kept, so that the trace
 * of a bug in the journal can be read. A root daemon reads no settings from the directory it is started in.
 */
async function compile(): Promise<Complaint> {
  const { success, logs } = await Bun.build({
    entrypoints: [`${ROOT}/src/main.ts`],
    target: "bun",
    format: "esm",
    splitting: true,
    bytecode: true,
    minify: { whitespace: true, syntax: true, identifiers: false },
    compile: {
      outfile: EXECUTABLE,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    throw: false,
  });
  return success ? undefined : inWords(logs);
}

function checkBun(): Complaint {
  const pinned = packageJson.devDependencies.bun;
  return Bun.version === pinned ? undefined : `this is Bun ${Bun.version}, package.json pins ${pinned}: run "npm ci"`;
}

const inWords = (logs: Bun.BuildOutput["logs"]): string =>
  logs
    .map(({ message, position }) => `${relative(ROOT, position?.file ?? "")}:${position?.line}: ${message}`)
    .join("\n");

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

async function build(): Promise<Complaint> {
  return checkBun() ?? fillLibraries() ?? (await checkPure(`${ROOT}/src/replica.ts`)) ?? (await compile());
}

if (import.meta.main) {
  const startedMs = performance.now();
  const librariesOnly = process.argv.includes("--libraries");
  const complaint = librariesOnly ? fillLibraries() : await build();
  if (complaint !== undefined) {
    console.error(`build: ${complaint}`);
    process.exitCode = 1;
  } else if (!librariesOnly) {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const megabytes = (statSync(EXECUTABLE).size / 1e6).toFixed(1);
    console.log(
      `${relative(process.cwd(), EXECUTABLE)}: ${megabytes} MB, linux-${process.arch}, built in ${seconds} s`,
    );
  }
}
