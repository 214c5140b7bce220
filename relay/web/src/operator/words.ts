// Numbers and states in words and short figures. Pure.

import type { CallKind, ClaimState, Problem, StreamState, TargetState } from "../api/rows";
import { sentence } from "../sentence";

export type Tone = "good" | "busy" | "warn" | "bad" | "calm";

/** How long ago, or how long still: `12 s`, `4 min`, `3 h 20 min`, `2 d 5 h`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${Math.floor(hours / 24)} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bitRate(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1_000_000) return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1_000)} kbit/s`;
}

/** `1 stream`, `3 streams`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A number in groups of three. */
export function grouped(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function list(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? "";
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

const STREAM_WORDS: Record<StreamState, readonly [string, Tone]> = {
  queued: ["Queued", "calm"],
  claiming: ["Claiming", "busy"],
  joining: ["Joining", "busy"],
  live: ["Live", "good"],
  recovering: ["Recovering", "bad"],
  stopping: ["Stopping", "busy"],
  ended: ["Ended", "calm"],
};

export function streamState(state: StreamState): readonly [string, Tone] {
  return STREAM_WORDS[state] ?? [state, "calm"];
}

const CLAIM_WORDS: Record<ClaimState, readonly [string, Tone]> = {
  reserved: ["Reserved", "calm"],
  live: ["Live", "good"],
  probing: ["Probing", "warn"],
  lingering: ["Lingering", "warn"],
  blocked: ["Blocked", "bad"],
};

export function claimState(state: ClaimState): readonly [string, Tone] {
  return CLAIM_WORDS[state] ?? [state, "calm"];
}

const TARGET_WORDS: Record<TargetState, readonly [string, Tone]> = {
  waiting: ["Waiting", "calm"],
  connecting: ["Connecting", "busy"],
  pushing: ["Pushing", "good"],
  held: ["Held", "warn"],
  failed: ["Failed", "bad"],
};

export function targetState(state: TargetState): readonly [string, Tone] {
  return TARGET_WORDS[state] ?? [state, "calm"];
}

/** `900 kB`, `12.3 MB`, `4.1 GB`. */
export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.round(bytes / 1e3)} kB`;
}

const WORKER_TONES: Record<string, Tone> = {
  publishing: "good",
  degraded: "warn",
  waiting: "warn",
};

export function workerTone(state: string): Tone {
  return WORKER_TONES[state] ?? "busy";
}

const KIND_WORDS: Record<CallKind, string> = {
  auto: "Automatic",
  jitsi: "Jitsi",
  janus: "Janus",
  "element-call": "Element Call",
  bbb: "BigBlueButton",
  galene: "Galène",
  web: "Web page",
  test: "Test picture",
};

export function callKind(kind: CallKind): string {
  return KIND_WORDS[kind] ?? kind;
}

const END_WORDS: Record<string, string> = {
  stopped: "stopped",
  ends_at: "reached its end time",
  call_ended: "the call is over",
  join_failed: "the call could not be joined",
  refused: "the relay refused it",
  missing: "the recorder lacks something it needs",
  gave_up: "gave up after several tries",
};

/** The ends that nobody needs to look at. */
const GOOD_ENDS = new Set(["stopped", "ends_at", "call_ended"]);

export function endReason(reason: string | undefined): string {
  if (!reason) return "ended";
  return END_WORDS[reason] ?? reason.replaceAll("_", " ");
}

export function isGoodEnd(reason: string | undefined): boolean {
  return reason === undefined || GOOD_ENDS.has(reason);
}

/** A problem as one sentence for people. */
export function problemSentence(problem: Problem, nowMs: number): string {
  const parts = [sentence(problem.detail || problem.title)];
  const holder = problem.holder;
  if (holder && !problem.detail.includes(holder.label)) {
    parts.push(`Holder: ${holder.label}, for ${span(nowMs - Date.parse(holder.since))}.`);
  }
  if (problem.retry_after_seconds) parts.push(`Try again in ${span(problem.retry_after_seconds * 1_000)}.`);
  return parts.join(" ");
}
