import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, spread } from "../src/net/backoff";

const RANGE = { firstMs: 1_000, longestMs: 15_000 };

test("waits double up to the longest one", () => {
  const backoff = new Backoff(RANGE, () => 0.5);
  assert.deepEqual(
    Array.from({ length: 6 }, () => backoff.next()),
    [1_000, 2_000, 4_000, 8_000, 15_000, 15_000],
  );
});

test("a success begins at the first wait again", () => {
  const backoff = new Backoff(RANGE, () => 0.5);
  backoff.next();
  backoff.next();
  assert.equal(backoff.attempts, 2);
  backoff.reset();
  assert.equal(backoff.next(), 1_000);
});

test("waits are spread by half of themselves and stay finite for ever", () => {
  for (const random of [() => 0, () => 0.999_999, Math.random]) {
    const backoff = new Backoff(RANGE, random);
    for (let failure = 0; failure < 5_000; failure += 1) {
      const wait = backoff.next();
      assert.ok(wait >= 500 && wait <= 22_500, String(wait));
    }
  }
});

test("a spread of a third keeps a three second question between two and four", () => {
  assert.ok(Math.abs(spread(3_000, 1 / 3, () => 0) - 2_000) < 1e-9);
  assert.ok(Math.abs(spread(3_000, 1 / 3, () => 1) - 4_000) < 1e-9);
});
