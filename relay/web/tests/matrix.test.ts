import assert from "node:assert/strict";
import { test } from "node:test";
import { answerWidget, themeOf } from "../src/preview/matrix";

const ask = (action: string, data: object = {}) => ({ api: "toWidget", requestId: "r1", widgetId: "w", action, data });

test("a client that asks for wishes hears that there are none", () => {
  assert.deepEqual(answerWidget(ask("capabilities"))?.answer, { ...ask("capabilities"), response: { capabilities: [] } });
});

test("every question is acknowledged, also an unknown one", () => {
  for (const action of ["notify_capabilities", "visibility", "org.example.new"])
    assert.deepEqual(answerWidget(ask(action))?.answer.response, {});
});

test("a change of theme is followed", () => {
  assert.equal(answerWidget(ask("theme_change", { name: "dark" }))?.theme, "dark");
  assert.deepEqual(["light", "custom-Midnight Dark", "high-contrast", 3].map(themeOf), ["light", "dark", null, null]);
});

test("what is no question gets no answer", () => {
  const others = [null, 1, "x", {}, { ...ask("capabilities"), api: "fromWidget" }, { ...ask("capabilities"), response: {} }];
  for (const message of others) assert.equal(answerWidget(message), null);
});
