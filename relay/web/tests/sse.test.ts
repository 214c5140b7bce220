import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_CHARS_MAX, SseParser } from "../src/net/sse";

const BYTES = ': hello\r\nevent: snapshot\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: stream\ndata:x\n\n\rdata: last\r\rdata: unfinished';
const WANTED = [
  { event: "snapshot", data: '{"a":\n1}' },
  { event: "stream", data: "x" },
  { event: "message", data: "last" },
];

test("events are the same however the bytes are cut", () => {
  for (let size = 1; size <= BYTES.length; size += 1) {
    const parser = new SseParser();
    const messages = [];
    for (let at = 0; at < BYTES.length; at += size) messages.push(...parser.push(BYTES.slice(at, at + size)));
    assert.deepEqual(messages, WANTED, `pieces of ${size}`);
  }
});

test("a comment keeps the connection alive and is no event", () => {
  assert.deepEqual(new SseParser().push(":\n\n: ping\n\n"), []);
});

test("an event without data is no event", () => {
  assert.deepEqual(new SseParser().push("event: status\n\ndata: y\n\n"), [{ event: "message", data: "y" }]);
});

test("a byte order mark before the first event is skipped", () => {
  assert.deepEqual(new SseParser().push("\ufeffdata: z\n\n"), [{ event: "message", data: "z" }]);
});

test("an event beyond the bound is dropped whole and the next one comes through", () => {
  const parser = new SseParser();
  const piece = "x".repeat(1024 * 1024);
  const messages = [...parser.push("data: ")];
  for (let sent = 0; sent <= EVENT_CHARS_MAX; sent += piece.length) messages.push(...parser.push(piece));
  messages.push(...parser.push("\n\ndata: next\n\n"));
  assert.deepEqual(messages, [{ event: "message", data: "next" }]);
});
