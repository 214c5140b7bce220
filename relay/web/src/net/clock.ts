// The relay's time, as far as this page can tell: our own clock, unless the relay's Date header says that it is wrong.

/** A smaller difference between the two clocks is the way the answer took, and the header's whole seconds. */
const OFFSET_MS_MIN = 2_000;

let offsetMs = 0;

/** Takes the relay's Date header; without one nothing changes. */
export function learnOffset(date: string | null): void {
  const difference = (date === null ? NaN : Date.parse(date)) - Date.now();
  if (Number.isFinite(difference)) offsetMs = Math.abs(difference) >= OFFSET_MS_MIN ? difference : 0;
}

/** The relay's time, in milliseconds since the epoch. */
export function nowMs(): number {
  return Date.now() + offsetMs;
}
