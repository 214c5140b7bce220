// Is all well, and if not, what is not? Pure: from what is known at a moment to a few sentences, the worst first.

import type { Claim, Recorder, Stream, Target } from "../api/rows";
import { mediaOf, type Model } from "./model";
import { count, endReason, isGoodEnd, list, span } from "./words";

export type Level = "ok" | "watch" | "bad";

export interface Point {
  readonly level: "watch" | "bad";
  readonly text: string;
  /** The row that it is about: `stream-…`, `target-…`, `claim-…` or `recorder-…`. */
  readonly row: string;
}

export interface Health {
  readonly level: Level;
  readonly title: string;
  readonly facts: string;
  readonly points: readonly Point[];
}

const QUEUED_MS_MAX = 10_000;
const JOINING_MS_MAX = 45_000;
const SILENT_MS_MAX = 3_000;
const FRAME_SHARE_MIN = 0.7;
const SETTLED_MS = 5_000;
const STRESS_MAX = 0.9;
/** Things that are over are pointed out for so long. */
const RECENT_MS = 10 * 60_000;

export function healthOf(model: Model, nowMs: number): Health {
  const points = [
    ...[...model.streams.values()].flatMap((stream) => streamPoints(model, stream, nowMs)),
    ...model.targets.flatMap(targetPoints),
    ...recorderPoints(model, nowMs),
    ...[...model.claims.values()].flatMap((claim) => claimPoints(claim, nowMs)),
  ].sort((one, other) => Number(other.level === "bad") - Number(one.level === "bad"));

  const bad = points.filter((point) => point.level === "bad").length;
  const level: Level = bad > 0 ? "bad" : points.length > 0 ? "watch" : "ok";
  return { level, title: titleOf(level, bad, points.length, model), facts: factsOf(model), points };
}

function titleOf(level: Level, bad: number, all: number, model: Model): string {
  switch (level) {
    case "ok":
      return "All is well.";
    case "watch": {
      const run = model.broadcasts.some((broadcast) => broadcast.live) ? "All streams run. " : "";
      return run + (all === 1 ? "One thing is worth a look." : `${all} things are worth a look.`);
    }
    case "bad":
      return bad === 1 ? "One thing needs attention now." : `${bad} things need attention now.`;
  }
}

function factsOf(model: Model): string {
  const live = model.broadcasts.filter((broadcast) => broadcast.live);
  const viewers = live.reduce(
    (sum, { media }) => sum + media.hls_viewers + media.rtmp_players + media.flv_players,
    0,
  );
  const ready = [...model.recorders.values()].filter((recorder) => recorder.connected);
  const spare = sparePlaces(model);
  const streams = live.length === 0 ? "Nothing is live." : `${count(live.length, "stream")} live, ${count(viewers, "viewer")}.`;
  const recorders =
    ready.length === 0
      ? "No recorder is connected."
      : `${count(ready.length, "recorder")} connected, ${spare === 0 ? "no place" : count(spare, "place")} to spare.`;
  return `${streams} ${recorders}`;
}

/** How many more calls could be joined now. */
export function sparePlaces(model: Model): number {
  return [...model.recorders.values()]
    .filter((recorder) => recorder.connected && !recorder.draining)
    .reduce((sum, recorder) => sum + Math.max(0, recorder.slots - recorder.workers.length), 0);
}

function streamPoints(model: Model, stream: Stream, nowMs: number): Point[] {
  const forMs = nowMs - Date.parse(stream.state_since);
  const because = stream.detail ? `: ${stream.detail}` : "";
  const point = (level: Point["level"], text: string): Point[] => [{ level, text, row: `stream-${stream.id}` }];
  switch (stream.state) {
    case "recovering":
      return point("bad", `${stream.name} has been interrupted for ${span(forMs)} and is being restored${because}`);
    case "queued": {
      const early = stream.starts_at !== undefined && Date.parse(stream.starts_at) > nowMs;
      if (early || forMs < QUEUED_MS_MAX) return [];
      return point("bad", `${stream.name} has been waiting for a recorder for ${span(forMs)}${because}`);
    }
    case "claiming":
    case "joining":
      if (forMs < JOINING_MS_MAX) return [];
      return point("watch", `${stream.name} has been joining its call for ${span(forMs)}${because}`);
    case "ended":
      if (isGoodEnd(stream.end_reason) || forMs > RECENT_MS) return [];
      return point("watch", `${stream.name} ended ${span(forMs)} ago: ${stream.detail ?? endReason(stream.end_reason)}`);
    case "live":
      return forMs < SETTLED_MS ? [] : pictureTrouble(model, stream).flatMap((text) => point("bad", text));
    case "stopping":
      return [];
  }
}

function pictureTrouble(model: Model, stream: Stream): string[] {
  const media = mediaOf(model, stream);
  if (!media) return [];
  if (media.silent_ms > SILENT_MS_MAX) return [`${stream.name} has sent nothing for ${span(media.silent_ms)}`];
  const wanted = Number(/p(\d+)$/.exec(stream.profile)?.[1] ?? 0);
  if (media.frames_per_second >= wanted * FRAME_SHARE_MIN) return [];
  return [`${stream.name} sends ${Math.round(media.frames_per_second)} pictures a second instead of ${wanted}`];
}

function recorderPoints(model: Model, nowMs: number): Point[] {
  const recorders = [...model.recorders.values()];
  const points = recorders.flatMap((recorder) => recorderTrouble(model, recorder, nowMs));
  if (recorders.every((recorder) => !recorder.connected)) {
    const waiting = [...model.streams.values()].some((stream) => stream.state === "queued");
    const text = "No recorder is connected, so no call can be joined";
    if (recorders.length === 0) points.push({ level: waiting ? "bad" : "watch", text, row: "recorders" });
  } else if (sparePlaces(model) === 0) {
    points.push({ level: "watch", text: "No recorder has a place to spare", row: "recorders" });
  }
  return points;
}

function recorderTrouble(model: Model, recorder: Recorder, nowMs: number): Point[] {
  const row = `recorder-${recorder.id}`;
  if (!recorder.connected) {
    const carried = recorder.workers.map(({ stream_id }) => model.streams.get(stream_id)?.name ?? "a stream");
    const gone = `Recorder ${recorder.id} has been out of reach for ${span(nowMs - Date.parse(recorder.since))}`;
    if (carried.length === 0) return [{ level: "watch", text: gone, row }];
    return [{ level: "bad", text: `${gone}; it carried ${list(carried)}`, row }];
  }
  const points: Point[] = [];
  if (recorder.stress >= STRESS_MAX) {
    const text = `Recorder ${recorder.id} is ${Math.round(recorder.stress * 100)} % busy`;
    points.push({ level: "watch", text, row });
  }
  for (const worker of recorder.workers) {
    if (worker.state !== "degraded") continue;
    const name = model.streams.get(worker.stream_id)?.name ?? "a stream";
    points.push({ level: "watch", text: `The worker of ${name} is degraded${worker.detail ? `: ${worker.detail}` : ""}`, row });
  }
  return points;
}

function targetPoints(target: Target): Point[] {
  if (target.state !== "failed" && target.state !== "held") return [];
  const because = target.detail ? `: ${target.detail}` : "";
  const text = `${target.name} does not reach its target ${target.url}${because}`;
  return [{ level: target.state === "failed" ? "bad" : "watch", text, row: `target-${target.stream_id}-${target.index}` }];
}

function claimPoints(claim: Claim, nowMs: number): Point[] {
  const row = `claim-${claim.id}`;
  const points: Point[] = [];
  const watch = (text: string) => points.push({ level: "watch", text, row });
  if (claim.state === "probing") watch(`${claim.key} is contested; ${claim.holder} is being asked whether it is still there`);
  if (claim.block) watch(`${claim.key} is blocked by ${claim.block.operator}: ${claim.block.reason}`);
  if (claim.state === "lingering" && !claim.stream_id) watch(`${claim.key} lost its publisher ${claim.holder}`);
  const refusal = claim.last_refusal;
  if (refusal && nowMs - Date.parse(refusal.at) < RECENT_MS) {
    const times = claim.refused_last_hour > 1 ? `, ${claim.refused_last_hour} times within an hour` : "";
    watch(`${refusal.who} was refused at ${claim.key} ${span(nowMs - Date.parse(refusal.at))} ago${times}`);
  }
  return points;
}
