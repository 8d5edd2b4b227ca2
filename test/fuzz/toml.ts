/**
 * Configuration files: every text is either settings, which written out again are the same settings, or mistakes, each of
 * them one printable line that names the file.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { socketIn } from "../../src/cli/support/socket-path.ts";
import { parseConfig } from "../../src/config/load.ts";
import { renderConfig } from "../../src/config/render.ts";
import type { Random } from "../sim/random.ts";
import { mutateBytes, pick } from "./mutate.ts";
import { holds, type Life, type Step, type Target } from "./target.ts";

const ROOT = join(import.meta.dir, "../..");
const FILE = "ctsync.toml";
const TEXT_BYTES_MAX = 4_096;

const packaged = [...new Glob("packaging/**/*.toml").scanSync(ROOT)].sort();
const files = packaged.map((path) => readFileSync(join(ROOT, path), "utf8"));
const whole = files.flatMap((text) => {
  const config = parseConfig(text, FILE);
  return config.ok ? [renderConfig(config.value)] : [];
});
const CORPUS = [...files, ...whole, ...whole];
/** What a setting is called, and what it is set to. */
const KEYS = [...new Set(whole.flatMap((text) => [...text.matchAll(/^(\w+) =/gm)].map(([, key]) => key!)))];
const TABLES = [
  "[sync]",
  "[[link]]",
  "[link]",
  "[filter]",
  "[control]",
  "[netlink]",
  "[daemon]",
  "[log]",
  "[sync.mode]",
];
const ODD_KEYS = [
  "__proto__",
  "constructor",
  "toString",
  '"\\u0000"',
  '"a\\nb"',
  "''",
  "flows-max",
  "FLOWS_MAX",
  '"\\u202e"',
  "\u00e9",
];
const VALUES = [
  ...["0", "-1", "-0", "1", "16", "300", "65536", "4294967296", "9007199254740993", "-9223372036854775808", "1_000"],
  ...[
    "0x10",
    "0o7",
    "0b1",
    "1.5",
    "1e3",
    "1e400",
    "-1e-400",
    "nan",
    "-inf",
    "inf",
    "99999999999999999999",
    "01",
    "1__0",
  ],
  ...[
    "true",
    "false",
    '""',
    '"ftfw"',
    '"10.0.9.1"',
    '"10.0.9.256"',
    '"fe80::1%eth2"',
    '"::ffff:1.2.3.4"',
    '"::"',
    '"0.0.0.0/0"',
  ],
  ...[
    '"10.0.0.0/33"',
    '"2001:db8::/129"',
    '"ff02::1"',
    '"/run/x"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\U00110000"',
    '"a\\nb"',
    "'x'",
  ],
  ...[
    '"""x\ny"""',
    "'''\n'''",
    "[]",
    "[1, 'a']",
    "[[[[]]]]",
    "{}",
    "{ a = 1 }",
    "{ __proto__ = 1 }",
    "1979-05-27",
    "07:32:00",
  ],
  ...["1979-05-27T07:32:00Z", `"${"x".repeat(300)}"`, "[".repeat(200), "{a=".repeat(100), '"\\e[31m"', "", "#", "="],
];

class TomlLife implements Life {
  apply({ bytes }: Step): string {
    const text = Buffer.from(bytes).toString("utf8");
    socketIn(text);
    const config = parseConfig(text, FILE);
    holds(Bun.deepEquals(parseConfig(text, FILE), config), "the same text was read differently");
    if (!config.ok) {
      holds(config.error.length > 0, "refused without a reason");
      for (const line of config.error) {
        holds(line.startsWith(`${FILE}: `), `names no file: ${JSON.stringify(line)}`);
        holds(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line), `not one printable line: ${JSON.stringify(line)}`);
        holds(line.length <= 1_000, `a mistake of ${line.length} characters`);
      }
      return config.error.map((line) => line.replaceAll(/\(found.*\)|"[^"]*"|\d+/g, "")).join("\n");
    }
    const again = parseConfig(renderConfig(config.value), FILE);
    holds(again.ok, `its own rendering is refused: ${again.ok ? "" : again.error.join("; ")}`);
    holds(Bun.deepEquals(again.value, config.value), "its own rendering means something else");
    return "fine";
  }

  end(): void {
    holds(Object.keys(Object.prototype).length === 0, "every object was given a property");
    for (const text of files) holds(parseConfig(text, FILE).ok, "a good file is refused");
  }
}

function mutateLines(text: string, random: Random): string {
  const lines = text.split("\n");
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(lines.length);
    const line = lines[at]!;
    switch (random.below(8)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(at, 0, line);
        break;
      case 2:
        lines.splice(random.below(lines.length + 1), 0, pick(random, TABLES));
        break;
      case 3:
        lines.splice(at, 0, `${pick(random, random.percent(50) ? ODD_KEYS : KEYS)} = ${pick(random, VALUES)}`);
        break;
      case 4:
        lines[at] = line.replace(/^[\w"]+/, pick(random, random.percent(30) ? ODD_KEYS : KEYS));
        break;
      case 5:
        lines[at] = line.replace(/\d+/, pick(random, VALUES));
        break;
      default:
        lines[at] = line.replace(/= .*/, `= ${pick(random, VALUES)}`);
    }
    if (lines.length === 0) lines.push("");
  }
  return lines.join("\n");
}

export const tomlTarget: Target = {
  name: "toml",
  steps: 500,
  cases: () => 1,
  flavours: 1,
  begin: () => new TomlLife(),
  make(random: Random, kept: readonly Step[]): Step {
    const base =
      kept.length > 0 && random.percent(30) ? Buffer.from(pick(random, kept).bytes).toString() : pick(random, CORPUS);
    const bytes = new TextEncoder().encode(random.percent(85) ? mutateLines(base, random) : base);
    return { kind: "file", bytes: (random.percent(25) ? mutateBytes(bytes, random) : bytes).slice(0, TEXT_BYTES_MAX) };
  },
};
