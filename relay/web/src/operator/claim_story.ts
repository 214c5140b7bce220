// What happened to a claim, made ready for people. Pure.

import type { ClaimEvent } from "../api/rows";
import type { Tone } from "./words";

/** One who was turned away, however often. */
export interface TurnedAway {
  readonly who: string;
  readonly times: number;
  /** The last time, RFC 3339. */
  readonly at: string;
  readonly why: string;
}

/** Everybody who was turned away since then, the last one first. `events` come newest first. */
export function turnedAway(events: readonly ClaimEvent[], sinceMs: number): TurnedAway[] {
  const found = new Map<string, TurnedAway>();
  for (const { what, who, at, why } of events) {
    if (what !== "refused" || Date.parse(at) < sinceMs) continue;
    const last = found.get(who);
    found.set(who, last ? { ...last, times: last.times + 1 } : { who, times: 1, at, why });
  }
  return [...found.values()];
}

const WORDS: Record<string, readonly [string, Tone]> = {
  granted: ["Granted", "busy"],
  live: ["Live", "good"],
  lingering: ["Publisher lost", "warn"],
  resumed: ["Resumed", "good"],
  displaced: ["Replaced", "warn"],
  seized: ["Seized", "bad"],
  released: ["Released", "calm"],
  expired: ["Expired", "calm"],
  refused: ["Turned away", "warn"],
  blocked: ["Blocked", "bad"],
  unblocked: ["Unblocked", "calm"],
};

/** A word and its tone. A newer relay may know more words. */
export function happening(what: string): readonly [string, Tone] {
  return WORDS[what] ?? [what, "calm"];
}

/** The time of day; with the date if it is another day. */
export function clockTime(at: string, nowMs: number): string {
  const time = new Date(at);
  const hours = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0"));
  const clock = hours.join(":");
  if (time.toDateString() === new Date(nowMs).toDateString()) return clock;
  return `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${clock}`;
}
