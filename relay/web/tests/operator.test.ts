import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiEvent, Broadcast, Claim, ClaimEvent, Media, Recorder, Stream } from "../src/api/rows";
import { healthOf } from "../src/operator/health";
import { clockTime, happening, turnedAway } from "../src/operator/claim_story";
import { apply, EMPTY, ENDED_MAX, foreignBroadcasts, type Model } from "../src/operator/model";
import { bitRate, problemSentence, span } from "../src/operator/words";
import { fullStop } from "../src/sentence";

const NOW = Date.parse("2026-11-20T20:00:00Z");
const ago = (seconds: number) => new Date(NOW - seconds * 1_000).toISOString();
const playback = { hls: "/hls/live/a/index.m3u8", widget: "/widget/preview?stream=live/a" };
const media = (change: Partial<Media> = {}): Media => ({
  width: 1280,
  height: 720,
  frames_per_second: 30,
  bits_per_second: 2_500_000,
  video_codec: null,
  audio_codec: null,
  rtmp_players: 1,
  flv_players: 0,
  hls_viewers: 2,
  silent_ms: 20,
  ...change,
});
const stream = (change: Partial<Stream> = {}): Stream => ({
  id: "s1",
  name: "live/a",
  state: "live",
  kind: "jitsi",
  profile: "720p30",
  record: false,
  created_at: ago(100),
  state_since: ago(60),
  claims: [],
  playback,
  incarnation: 1,
  ...change,
});
const broadcast = (change: Partial<Broadcast> = {}): Broadcast => ({
  name: "live/a",
  live: true,
  token: 4,
  since: ago(60),
  media: media(),
  playback,
  ...change,
});
const claim = (change: Partial<Claim> = {}): Claim => ({
  id: "c1",
  kind: "ingest",
  key: "live/a",
  state: "live",
  token: 4,
  holder: "bot",
  since: ago(60),
  refused_last_hour: 0,
  ...change,
});
const recorder = (change: Partial<Recorder> = {}): Recorder => ({
  id: "rec-1",
  version: "0.1.0",
  connected: true,
  since: ago(600),
  slots: 2,
  stress: 0.2,
  draining: false,
  workers: [],
  ...change,
});
const snapshot = (change: Partial<Extract<ApiEvent, { event: "snapshot" }>> = {}): Model =>
  apply(EMPTY, {
    event: "snapshot",
    streams: [stream()],
    broadcasts: [broadcast()],
    claims: [claim()],
    recorders: [recorder()],
    ...change,
  });

test("a healthy house is told in one sentence", () => {
  const health = healthOf(snapshot(), NOW);
  assert.deepEqual([health.level, health.title, health.points.length], ["ok", "All is well.", 0]);
  assert.equal(health.facts, "1 stream live, 3 viewers. 1 recorder connected, 2 places to spare.");
});

test("an interrupted stream comes before what is only worth a look", () => {
  const refusal = { at: ago(30), who: "obs", reason: "held", reference: "r1" };
  const health = healthOf(
    snapshot({
      streams: [stream({ state: "recovering", state_since: ago(12), detail: "its worker died" })],
      claims: [claim({ last_refusal: refusal, refused_last_hour: 2 })],
    }),
    NOW,
  );
  assert.equal(health.level, "bad");
  assert.deepEqual(
    health.points.map((point) => point.text),
    [
      "live/a has been interrupted for 12 s and is being restored: its worker died",
      "obs was refused at live/a 30 s ago, 2 times within an hour",
    ],
  );
});

test("a live stream that sends too little is pointed out once it had time to settle", () => {
  const slow = { broadcasts: [broadcast({ media: media({ frames_per_second: 12 }) })] };
  assert.match(healthOf(snapshot(slow), NOW).points[0]!.text, /12 pictures a second instead of 30/);
  assert.equal(healthOf(snapshot({ ...slow, streams: [stream({ state_since: ago(2) })] }), NOW).level, "ok");
});

test("a stream that waits for its time is no trouble, one that waits for a recorder is", () => {
  const queued = stream({ state: "queued", state_since: ago(300) });
  assert.equal(healthOf(snapshot({ streams: [queued] }), NOW).level, "bad");
  assert.equal(healthOf(snapshot({ streams: [{ ...queued, starts_at: ago(-60) }] }), NOW).level, "ok");
});

test("a target that is not reached is pointed out, one that only waits is not", () => {
  const target = { stream_id: "s1", name: "live/a", index: 0, url: "rtmp://a:1935/live/…", since: ago(5), bytes: 0, reconnects: 0, lag_ms: 0 };
  const health = (state: "waiting" | "held" | "failed") =>
    healthOf(apply(snapshot(), { event: "targets", targets: [{ ...target, state, detail: "no answer" }] }), NOW);
  assert.deepEqual([health("waiting").level, health("held").level, health("failed").level], ["ok", "watch", "bad"]);
  assert.deepEqual(health("failed").points, [
    { level: "bad", text: "live/a does not reach its target rtmp://a:1935/live/…: no answer", row: "target-s1-0" },
  ]);
});

test("a recorder out of reach names what it carried", () => {
  const worker = { stream_id: "s1", incarnation: 1, state: "publishing", frames_sent: 1, frames_dropped: 0, reconnects: 0 };
  const health = healthOf(snapshot({ recorders: [recorder({ connected: false, since: ago(30), workers: [worker] })] }), NOW);
  assert.equal(health.points[0]!.text, "Recorder rec-1 has been out of reach for 30 s; it carried live/a");
});

test("a wanted end is no trouble, an unwanted one is for ten minutes", () => {
  const ended = (end_reason: string, seconds: number) =>
    healthOf(snapshot({ streams: [stream({ state: "ended", end_reason, state_since: ago(seconds) })] }), NOW).level;
  assert.deepEqual([ended("stopped", 5), ended("join_failed", 5), ended("join_failed", 700)], ["ok", "watch", "ok"]);
});

test("events replace whole rows and unknown ones change nothing", () => {
  const model = apply(snapshot(), { event: "stream", stream: stream({ state: "stopping" }) });
  assert.equal(model.streams.get("s1")?.state, "stopping");
  assert.equal(apply(model, { event: "weather" } as unknown as ApiEvent), model);
});

test("a claim that is gone leaves the table, and a new grant replaces the old row of its key", () => {
  const event = { event: "claim", what: "granted", key: "live/a", detail: "", at: ago(0) } as const;
  assert.equal(apply(snapshot(), { ...event, what: "released" }).claims.size, 0);
  const granted = apply(snapshot(), { ...event, claim: claim({ id: "c2", token: 5 }) });
  assert.deepEqual([...granted.claims.keys()], ["c2"]);
});

test("ended streams are forgotten beyond a bound, the oldest first", () => {
  const streams = Array.from({ length: ENDED_MAX + 5 }, (_, age) =>
    stream({ id: `s${age}`, state: "ended", state_since: ago(1_000 + age) }),
  );
  const kept = snapshot({ streams }).streams;
  assert.equal(kept.size, ENDED_MAX);
  assert.ok(kept.has("s0") && !kept.has(`s${ENDED_MAX}`));
});

test("a broadcast without a bot is told apart", () => {
  const model = snapshot({ broadcasts: [broadcast(), broadcast({ name: "stage/main" })] });
  assert.deepEqual(foreignBroadcasts(model).map(({ name }) => name), ["stage/main"]);
});

test("figures read well", () => {
  assert.deepEqual([0, 89_000, 95_000, 3_720_000, 7_200_000, 12_000_000, 200_000_000].map(span), [
    "0 s", "89 s", "1 min", "62 min", "2 h", "3 h 20 min", "2 d 7 h",
  ]);
  assert.deepEqual([640_000, 2_480_000].map(bitRate), ["640 kbit/s", "2.5 Mbit/s"]);
  assert.deepEqual(["a/b went", "Really?"].map(fullStop), ["a/b went.", "Really?"]);
});

test("a problem is a sentence that names the holder and when to try again", () => {
  const problem = { title: "t", status: 409, code: "claim_held", detail: "live/a is taken", holder: { label: "bot", since: ago(60) } };
  assert.equal(problemSentence(problem, NOW), "Live/a is taken. Holder: bot, for 60 s.");
  const busy = { title: "too much", status: 503, code: "busy", detail: "", retry_after_seconds: 5 };
  assert.equal(problemSentence(busy, NOW), "Too much. Try again in 5 s.");
});

test("whoever was turned away is told once, with how often and the last reason", () => {
  const happened = (what: string, who: string, seconds: number, why = ""): ClaimEvent => ({
    number: 9_000 - seconds,
    at: ago(seconds),
    what,
    key: "live/a",
    who,
    why,
  });
  const events = [
    happened("refused", "obs", 10, "held"),
    happened("refused", "vlc", 20, "held"),
    happened("granted", "bot", 25),
    happened("refused", "obs", 30, "reserved"),
    happened("refused", "old", 4_000),
  ];
  assert.deepEqual(turnedAway(events, NOW - 3_600_000), [
    { who: "obs", times: 2, at: ago(10), why: "held" },
    { who: "vlc", times: 1, at: ago(20), why: "held" },
  ]);
});

test("what happened has a word, even what this page does not know", () => {
  assert.deepEqual([happening("refused")[0], happening("moved")], ["Turned away", ["moved", "calm"]]);
});

test("a time of day has a date only on another day", () => {
  const now = new Date(2026, 10, 20, 20, 0, 5).getTime();
  const at = (day: number) => new Date(2026, 10, day, 9, 3, 7).toISOString();
  assert.deepEqual([clockTime(at(20), now), clockTime(at(19), now)], ["09:03:07", "19 Nov, 09:03:07"]);
});

test("a block is worth a look, beside a publisher as well", () => {
  const block = { operator: "alice", reason: "wrong room", since: ago(5), ends_in_ms: 595_000 };
  const points = healthOf(snapshot({ claims: [claim({ block })] }), NOW).points;
  assert.deepEqual(points.map(({ text }) => text), ["live/a is blocked by alice: wrong room"]);
});
