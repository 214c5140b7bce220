// What the countdown shows at a moment. Pure.

import type { Status } from "../preview/status";

export interface Plan {
  /** When it begins and ends, in UTC milliseconds; null if the page was not told. */
  readonly startsAt: number | null;
  readonly endsAt: number | null;
}

export interface Count {
  /** `off` before it is on air, `soon` in the last minute, `on`, `last` in the last five minutes, `over`. */
  readonly mood: "off" | "soon" | "on" | "last" | "over" | "trouble";
  readonly title: string;
  /** The big figure, or empty. */
  readonly figure: string;
  /** What the figure counts, or what else there is to say. */
  readonly detail: string;
}

const SOON_MS = 60_000;
const LAST_MS = 5 * 60_000;

/** Whether it is on air is the relay's word alone, never the plan's. */
export function countAt(nowMs: number, plan: Plan, status: Status | null, reached: boolean): Count {
  if (!reached && status === null) {
    const before = plan.startsAt !== null && nowMs < plan.startsAt;
    if (before) return { mood: "off", title: "Planned", figure: clockOf(plan.startsAt! - nowMs), detail: "until the start; the relay does not answer" };
    return { mood: "trouble", title: "The relay does not answer.", figure: "", detail: "Trying again by itself." };
  }
  if (status?.state === "live") return onAir(nowMs, plan, status);
  if (status?.state === "recovering") {
    return { mood: "trouble", title: "Interrupted", figure: "", detail: status.detail ?? "The stream is being restored." };
  }
  const { startsAt, endsAt } = plan;
  if (startsAt !== null && nowMs < startsAt) {
    const leftMs = startsAt - nowMs;
    return { mood: leftMs <= SOON_MS ? "soon" : "off", title: "Off air", figure: clockOf(leftMs), detail: "until the start" };
  }
  if (status?.state === "starting") {
    return { mood: "soon", title: "About to start", figure: "", detail: status.detail ?? "A recorder is joining the call." };
  }
  if (status?.state === "ended" || (endsAt !== null && nowMs >= endsAt)) {
    return { mood: "over", title: "Off air", figure: "", detail: "The stream has ended." };
  }
  if (startsAt !== null) {
    return { mood: "soon", title: "Off air", figure: clockOf(nowMs - startsAt), detail: "past the planned start; the stream has not begun" };
  }
  return { mood: "off", title: "Off air", figure: "", detail: "Nobody is streaming yet." };
}

function onAir(nowMs: number, plan: Plan, status: Status): Count {
  if (plan.endsAt !== null) {
    const leftMs = plan.endsAt - nowMs;
    if (leftMs <= 0) return { mood: "last", title: "On air", figure: clockOf(-leftMs), detail: "over time" };
    return { mood: leftMs <= LAST_MS ? "last" : "on", title: "On air", figure: clockOf(leftMs), detail: "left" };
  }
  const since = status.since === null ? NaN : Date.parse(status.since);
  if (!Number.isFinite(since)) return { mood: "on", title: "On air", figure: "", detail: "" };
  return { mood: "on", title: "On air", figure: clockOf(nowMs - since), detail: "so far" };
}

/** `4:05`, `1:04:05`, `3 d 1:04:05`; never negative, and the last second counts as one until it is over. */
export function clockOf(ms: number): string {
  const all = Math.max(0, Math.ceil(ms / 1_000));
  const two = (number: number) => String(number).padStart(2, "0");
  const days = Math.floor(all / 86_400);
  const hours = Math.floor(all / 3_600) % 24;
  const minutes = Math.floor(all / 60) % 60;
  const long = days > 0 || hours > 0;
  const clock = `${long ? `${hours}:${two(minutes)}` : minutes}:${two(all % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}

/** A time of the page's address, RFC 3339; null if it is none. */
export function parseTime(text: string | null): number | null {
  // A plus sign in an address that was not encoded arrives as a space.
  const time = text === null ? NaN : Date.parse(text.trim().replace(/ (?=\d\d:\d\d$)/, "+"));
  return Number.isFinite(time) ? time : null;
}
