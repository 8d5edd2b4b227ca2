/** Milliseconds since 1970 as "2026-01-02 03:04:05.678 UTC"; reckoned here, since what is pure has no clock. */
export function timeOfDay(wallMs: number): string {
  if (!Number.isFinite(wallMs) || Math.abs(wallMs) > FARTHEST_MS) return "at no time there is";
  const whole = Math.floor(wallMs);
  const days = Math.floor(whole / DAY_MS);
  const inDay = whole - days * DAY_MS;
  const [year, month, day] = dateOf(days);
  const at = (unitMs: number, modulus: number): string => padded(Math.floor(inDay / unitMs) % modulus, 2);
  const date = `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`;
  return `${date} ${at(3_600_000, 24)}:${at(60_000, 60)}:${at(1_000, 60)}.${padded(inDay % 1_000, 3)} UTC`;
}

const DAY_MS = 86_400_000;
/** From the year 37 to the year 3903. */
const FARTHEST_MS = 61_000_000_000_000;
const padded = (value: number, digits: number): string => String(value).padStart(digits, "0");

/** Days since 1970 in the Gregorian calendar, whose years begin in March here, so that the leap day is the last. */
function dateOf(days: number): [year: number, month: number, day: number] {
  const shifted = days + 719_468; // Since the first of March of year 0.
  const era = Math.floor(shifted / 146_097); // 400 years.
  const dayOfEra = shifted - era * 146_097;
  const leaps = Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - Math.floor((153 * march + 2) / 5) + 1];
}
