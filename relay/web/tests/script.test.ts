import assert from "node:assert/strict";
import { test } from "node:test";
import { isSpeaking, loudness, turnAt } from "../src/call/script";

test("everybody gets a turn and nobody two in a row", () => {
  for (const participants of [4, 5, 6]) {
    const speakers = Array.from({ length: 200 }, (_, turn) => turnAt(turn * 4 + 1, participants).speaker);
    assert.deepEqual([...new Set(speakers)].sort(), Array.from({ length: participants }, (_, seat) => seat));
    assert.deepEqual(speakers.filter((speaker, turn) => turn > 0 && speaker === speakers[turn - 1]), []);
  }
});

test("a voice is heard within its turn only and never louder than one", () => {
  for (let seconds = 0; seconds < 400; seconds += 0.01) {
    const turn = turnAt(seconds, 4);
    const loud = loudness(seconds, turn);
    assert.ok(loud >= 0 && loud <= 1);
    assert.ok(loud === 0 || isSpeaking(seconds, turn));
  }
});
