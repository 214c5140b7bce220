// The relay's time, as far as this page can tell, and the elements that count along with it.

import { el, setText } from "./dom";
import { span } from "./words";

/** A smaller difference between the two clocks is the way the answer took. */
const OFFSET_MS_MIN = 2_000;

let offsetMs = 0;

/** Takes the relay's Date header. */
export function learnOffset(date: string | null): void {
  const theirs = date === null ? NaN : Date.parse(date);
  const difference = theirs - Date.now();
  offsetMs = Number.isFinite(difference) && Math.abs(difference) >= OFFSET_MS_MIN ? difference : 0;
}

export function nowMs(): number {
  return Date.now() + offsetMs;
}

/** How long since a time (RFC 3339), counting on by itself. */
export function since(time: string): HTMLElement {
  const absolute = new Date(time).toLocaleString();
  return el("time", { datetime: time, "data-since": time, title: absolute }, span(nowMs() - Date.parse(time)));
}

/** Lets all counting elements count. */
export function tick(): void {
  for (const element of document.querySelectorAll<HTMLElement>("time[data-since]")) {
    setText(element, span(nowMs() - Date.parse(element.dataset["since"]!)));
  }
}
