/**
 * The filter of system calls that systemd makes of a unit, as the kernel wants it: a BPF program.
 *
 *   struct seccomp_data   i32 number, u32 architecture, u64 instruction pointer, u64 arguments[6]
 *   struct sock_filter    u16 code, u8 jump if true, u8 jump if false, u32 k; little-endian
 *
 * Stricter than systemd where it refuses: the process is killed, so a daemon that lives has made no other call.
 * Numbers: linux/audit.h, linux/filter.h, linux/seccomp.h (uapi); socket.h for address families.
 */
import { succeed } from "./execute.ts";

const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const KILL_PROCESS = 0x8000_0000;
const ALLOW = 0x7fff_0000;
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const FIRST_ARGUMENT_AT = 16;
const ARCHITECTURES: Readonly<Record<string, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
const FAMILIES: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };

/** Names of a `SystemCallFilter=`, groups replaced by their members. systemd allows @default whatever a unit says. */
export async function callsOf(words: readonly string[]): Promise<string[]> {
  const calls = new Set<string>();
  const add = async (word: string): Promise<void> => {
    if (!word.startsWith("@")) return void calls.add(word);
    const said = await succeed(["systemd-analyze", "syscall-filter", word]);
    const members = said
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
    for (const member of members) if (member !== "" && !member.startsWith("#")) await add(member);
  };
  for (const word of ["@default", ...words]) await add(word);
  return [...calls].sort();
}

/** Numbers of these calls here; what another architecture has alone is left out. */
async function numbersOf(calls: readonly string[]): Promise<number[]> {
  const script = 'for call in "$@"; do scmp_sys_resolver "$call"; done';
  const said = await succeed(["sh", "-c", script, "sh", ...calls]);
  return said
    .split("\n")
    .filter(Boolean)
    .map(Number)
    .filter((number) => number >= 0);
}

export interface Allowed {
  readonly calls: readonly string[];
  /** Address families of sockets, by their names. */
  readonly families: readonly string[];
}

/** The program, 8 bytes an instruction. */
export async function seccompProgram({ calls, families }: Allowed): Promise<Uint8Array> {
  const [socket] = await numbersOf(["socket"]);
  const numbers = (await numbersOf(calls)).filter((number) => number !== socket);
  const familyNumbers = families.map((name) => FAMILIES[name] ?? Number.NaN);
  if (familyNumbers.some(Number.isNaN)) throw new Error(`an address family is unknown: ${families}`);
  const allowIf = (value: number): number[][] => [
    [JUMP_IF_EQUAL, 0, 1, value],
    [RETURN, 0, 0, ALLOW],
  ];
  const program = [
    [LOAD_WORD, 0, 0, ARCHITECTURE_AT],
    [JUMP_IF_EQUAL, 1, 0, ARCHITECTURES[process.arch]!],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD_WORD, 0, 0, NUMBER_AT],
    ...numbers.flatMap(allowIf),
    [JUMP_IF_EQUAL, 1, 0, socket!],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD_WORD, 0, 0, FIRST_ARGUMENT_AT],
    ...familyNumbers.flatMap(allowIf),
    [RETURN, 0, 0, KILL_PROCESS],
  ];
  const bytes = new Uint8Array(8 * program.length);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, ifTrue, ifFalse, k]] of program.entries()) {
    view.setUint16(8 * i, code!, true);
    view.setUint8(8 * i + 2, ifTrue!);
    view.setUint8(8 * i + 3, ifFalse!);
    view.setUint32(8 * i + 4, k!, true);
  }
  return bytes;
}
