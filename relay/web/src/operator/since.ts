// Elements that count along with the relay's time.

import { nowMs } from "../net/clock";
import { el, setText } from "./dom";
import { span } from "./words";

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
