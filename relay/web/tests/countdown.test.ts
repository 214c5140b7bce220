import assert from "node:assert/strict";
import { test } from "node:test";
import { clockOf, countAt, parseTime } from "../src/countdown/count";
import { parseStatus } from "../src/preview/status";

const START = Date.parse("2027-02-06T10:00:00Z");
const PLAN = { startsAt: START, endsAt: START + 30 * 60_000 };
const status = (state: string) => parseStatus({ state, since: "2027-02-06T10:00:05Z" });
const shown = (ms: number, state: string, plan: { startsAt: number | null; endsAt: number | null } = PLAN) => {
  const { mood, title, figure, detail } = countAt(START + ms, plan, status(state), true);
  return [mood, title, figure, detail].join("|");
};

test("before the start the time until it is counted, to the second", () => {
  assert.equal(shown(-125_000, "idle"), "off|Off air|2:05|until the start");
  assert.equal(shown(-900, "starting"), "soon|Off air|0:01|until the start");
});

test("the plan alone never says on air", () => {
  assert.equal(shown(20_000, "idle"), "soon|Off air|0:20|past the planned start; the stream has not begun");
});

test("on air the time left is counted, and over time is said", () => {
  assert.equal(shown(60_000, "live"), "on|On air|29:00|left");
  assert.equal(shown(27 * 60_000, "live"), "last|On air|3:00|left");
  assert.equal(shown(31 * 60_000, "live"), "last|On air|1:00|over time");
});

test("without a plan the time on air is counted", () => {
  assert.equal(shown(65_000, "live", { startsAt: null, endsAt: null }), "on|On air|1:00|so far");
  assert.equal(shown(0, "idle", { startsAt: null, endsAt: null }), "off|Off air||Nobody is streaming yet.");
});

test("an interruption, an end and a silent relay are told as such", () => {
  assert.match(shown(60_000, "recovering"), /^trouble\|Interrupted/);
  assert.match(shown(60_000, "ended"), /^over\|Off air\|\|The stream has ended/);
  assert.equal(countAt(START, PLAN, null, false).title, "The relay does not answer.");
});

test("clocks and times read well", () => {
  assert.deepEqual([-5, 0, 61_000, 3_845_000, 262_800_000].map(clockOf), ["0:00", "0:00", "1:01", "1:04:05", "3 d 1:00:00"]);
  assert.equal(parseTime("2027-02-06T11:00:00 01:00"), START);
  assert.deepEqual([null, "", "soon"].map(parseTime), [null, null, null]);
});
