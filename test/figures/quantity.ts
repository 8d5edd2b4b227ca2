/** Numbers as people read them: three significant digits, thousands separated, the unit behind. */
import type { Summary } from "./statistics.ts";

const THREE_DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const EXACT = new Intl.NumberFormat("en-US");

/** The unit to show a value of about this size in, and what one of it is in the unit measured. */
interface Scale {
  readonly unit: string;
  readonly size: number;
}

/** Only bytes change their unit with their size. */
function scaleOf(value: number, unit: string): Scale {
  const size = Math.abs(value);
  if (unit !== "bytes" || size < 1e5) return { unit, size: 1 };
  if (size < 1e6) return { unit: "kB", size: 1e3 };
  return size < 1e9 ? { unit: "MB", size: 1e6 } : { unit: "GB", size: 1e9 };
}

const withUnit = (text: string, unit: string): string => (/^(\/|$)/.test(unit) ? text + unit : `${text} ${unit}`);

export function formatNumber(value: number): string {
  return THREE_DIGITS.format(value);
}

/** A bare count stays exact, since what is lost of 200,000 may be one. */
const formatIn = (value: number, { unit, size }: Scale): string =>
  unit === "" && Number.isInteger(value) ? EXACT.format(value) : formatNumber(value / size);

export function formatQuantity(value: number, unit: string): string {
  const scale = scaleOf(value, unit);
  return withUnit(formatIn(value, scale), scale.unit);
}

/** "61.5 µs (60.2 to 63)"; without the range where there is none. */
export function formatSummary({ median, min, max }: Summary, unit: string): string {
  const scale = scaleOf(median, unit);
  const middle = withUnit(formatIn(median, scale), scale.unit);
  return min === max ? middle : `${middle} (${formatIn(min, scale)} to ${formatIn(max, scale)})`;
}

export function formatFactor(factor: number): string {
  return `${formatNumber(factor)} ×`;
}

/** "0:07", "12:30", "1:02:03". */
export function formatDuration(durationMs: number): string {
  const seconds = Math.round(durationMs / 1_000);
  const padded = (value: number): string => `${value}`.padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}:${padded(minutes)}` : minutes}:${padded(seconds % 60)}`;
}
