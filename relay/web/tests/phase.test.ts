import assert from "node:assert/strict";
import { test } from "node:test";
import { phaseOf, type Facts, type PlayerState } from "../src/preview/phase";
import { parseStatus, STATUS_STATES, type Status, type StatusState } from "../src/preview/status";

const status = (state: StatusState, detail: string | null = null): Status => ({
  state,
  since: null,
  hls: "/hls/live/room-1/index.m3u8",
  token: 1,
  detail,
});
const facts = (change: Partial<Facts>): Facts => ({
  stream: "live/room-1",
  reached: true,
  status: status("live"),
  player: "playing",
  played: true,
  ...change,
});
const state = (change: Partial<Facts>) => phaseOf(facts(change)).state;

test("an address without a stream is an error that says how to name one", () => {
  const phase = phaseOf(facts({ stream: null }));
  assert.equal(phase.state, "error");
  assert.match(phase.detail, /\?stream=app\/name/);
});

test("nobody streaming is waiting, says so, and loads no player", () => {
  const phase = phaseOf(facts({ status: status("idle"), player: "none", played: false }));
  assert.deepEqual([phase.state, phase.title, phase.attach], ["waiting", "Nobody is streaming yet.", false]);
});

test("a live stream is starting until its first picture is shown", () => {
  const begin: Partial<Facts> = { player: "loading", played: false };
  assert.equal(state(begin), "starting");
  assert.ok(phaseOf(facts(begin)).attach);
  assert.equal(state({}), "live");
});

test("a picture that stopped is recovering and stays visible", () => {
  for (const player of ["stalled", "over", "loading"] as const) {
    const phase = phaseOf(facts({ player }));
    assert.deepEqual([phase.state, phase.picture, phase.attach], ["recovering", true, true], player);
  }
});

test("a viewer's own pause is not a fault", () => {
  assert.equal(state({ player: "paused" }), "live");
});

test("what is buffered is shown to its end before the stream is said to have ended", () => {
  assert.equal(state({ status: status("ended") }), "live");
  assert.equal(state({ status: status("ended"), player: "over" }), "ended");
  assert.equal(state({ status: status("ended"), player: "stalled" }), "ended");
});

test("a picture outlives a relay that does not answer, and only its loss is told", () => {
  assert.equal(state({ reached: false }), "live");
  assert.equal(state({ reached: false, player: "stalled" }), "recovering");
  assert.equal(state({ reached: false, status: null, player: "none", played: false }), "error");
});

test("a browser that cannot play says so", () => {
  assert.equal(state({ player: "unsupported", played: false }), "error");
});

test("a reason given by the relay is passed on", () => {
  assert.equal(phaseOf(facts({ status: status("recovering", "the recorder is replaced") })).detail, "the recorder is replaced");
});

test("every combination has a plain sentence, and a picture only where a player is loaded", () => {
  const players: PlayerState[] = ["none", "loading", "playing", "paused", "stalled", "over", "unsupported"];
  for (const known of [...STATUS_STATES, null])
    for (const player of players)
      for (const reached of [true, false])
        for (const played of [true, false]) {
          const phase = phaseOf(facts({ status: known && status(known), player, reached, played }));
          assert.match(phase.title, /^[A-Z].*\.$/);
          assert.ok(!phase.picture || phase.attach);
        }
});

test("a status that is no status is refused, and a playlist elsewhere is not played", () => {
  for (const json of [null, 7, "live", [], {}, { state: "great" }]) assert.equal(parseStatus(json), null);
  for (const hls of ["https://elsewhere.example/x.m3u8", "//elsewhere.example/x.m3u8", "javascript:x", 4])
    assert.equal(parseStatus({ state: "live", hls })?.hls, null);
  assert.equal(parseStatus({ state: "live", hls: "/hls/a/b/index.m3u8", token: 3 })?.token, 3);
  assert.equal(parseStatus({ state: "idle", detail: "nothing is planned" })?.detail, "Nothing is planned.");
});
