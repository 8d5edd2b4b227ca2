/** Numbers as people say them: two figures of a duration, binary units of memory. */

const DURATIONS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
];

/** `340 ms`, `7 s`, `3 min 12 s`, `2 d 4 h`. */
export function durationText(milliseconds: number): string {
  const first = DURATIONS.findIndex(([, length]) => milliseconds >= length);
  if (first < 0) return `${Math.floor(milliseconds)} ms`;
  const [unit, length] = DURATIONS[first];
  const text = `${Math.floor(milliseconds / length)} ${unit}`;
  const next = DURATIONS[first + 1];
  if (next === undefined) return text;
  const rest = Math.floor((milliseconds % length) / next[1]);
  return rest === 0 ? text : `${text} ${rest} ${next[0]}`;
}

const MEMORY_UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** `512 bytes`, `2 MiB`, `2.5 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < MEMORY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${MEMORY_UNITS[unit]}`;
}
