import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStream, streamPath } from "../src/preview/stream";

test("an app and a name are read, and empty segments dropped", () => {
  assert.deepEqual(parseStream("live/room-1"), { app: "live", name: "room-1" });
  assert.deepEqual(parseStream("/live//room-1/"), { app: "live", name: "room-1" });
  assert.deepEqual(parseStream("live/a/b"), { app: "live", name: "a/b" });
});

test("what cannot be a stream is refused", () => {
  for (const text of [null, "", "live", "/", "live/..", "./x", "live/a?b", "live/a#b", "live/\u0007", `live/${"x".repeat(600)}`])
    assert.equal(parseStream(text), null, String(text));
});

test("a path keeps slashes and encodes everything else", () => {
  assert.equal(streamPath({ app: "live", name: "käse 1/b" }), "live/k%C3%A4se%201/b");
});
