// `/`: the operator page. One snapshot and the events after it, shown as one sentence, the points behind it, and the
// tables behind those.

import { Client, readProblem } from "./api/client";
import type { ApiEvent } from "./api/rows";
import { learnOffset, nowMs } from "./net/clock";
import { Feed } from "./net/feed";
import { ClaimDetails } from "./operator/claim_details";
import { Dialogs, toast } from "./operator/dialogs";
import { byId, el, setText } from "./operator/dom";
import { healthOf, type Point } from "./operator/health";
import { Looks } from "./operator/looks";
import { apply, EMPTY, foreignBroadcasts, type Model } from "./operator/model";
import { Sections } from "./operator/sections";
import { targetTable } from "./operator/targets";
import { tick } from "./operator/since";
import { problemSentence } from "./operator/words";
import { fullStop } from "./sentence";

/** The page is drawn at most so often, however many events arrive. */
const DRAW_MS = 250;

let model: Model = EMPTY;
let known = false;
let drawTimer: number | undefined;

const client = new Client();
const looks = new Looks();
const dialogs = new Dialogs(client, () => {
  feed.stop();
  feed.start();
});
const details = new ClaimDetails(
  client,
  { block: (name) => dialogs.askBlock(name), unblock: (name) => dialogs.unblock(name) },
  () => draw(),
);
const sections = new Sections(
  {
    look: (name, hls) => looks.toggle(name, hls),
    stop: (stream) => dialogs.stop(stream),
    seize: (claim) => dialogs.seize(claim),
    release: (claim) => dialogs.release(claim),
    unblock: (name) => dialogs.unblock(name),
    drain: (recorder) => dialogs.drain(recorder),
  },
  details,
);
const targets = targetTable();
const feed = new Feed(
  client.path("/events"),
  {
    opened: learnOffset,
    message: (message) => heard(message.data),
    lost: (retryMs) => connectionLost(`Trying again in ${Math.ceil(retryMs / 1_000)} s.`),
    refused: async (response) => {
      if (response.status === 401) {
        connectionLost("", "This relay asks for a token.", "Token needed");
        dialogs.askToken();
        return false;
      }
      connectionLost(problemSentence(await readProblem(response), nowMs()));
      return true;
    },
  },
  () => client.headers(),
);

client.onUnauthenticated = () => dialogs.askToken();
byId("streams-table").append(sections.streams.element);
byId("ended-table").append(sections.ended.element);
byId("foreign-table").append(sections.foreign.element);
byId("targets-table").append(targets.element);
byId("claims-table").append(sections.claims.element);
byId("recorders-table").append(sections.recorders.element);
byId("block-open").addEventListener("click", () => dialogs.askBlock());
byId("start-open").addEventListener("click", () => dialogs.askStart());
byId("retry").addEventListener("click", () => {
  feed.hurry();
  feed.start();
});
window.addEventListener("online", () => feed.hurry());
window.setInterval(() => {
  tick();
  if (known) drawSummary();
}, 1_000);
feed.start();

function heard(data: string): void {
  let event: ApiEvent;
  try {
    event = JSON.parse(data) as ApiEvent;
  } catch {
    return;
  }
  model = apply(model, event);
  if (event.event === "snapshot") {
    connected();
    details.reloadAll();
  }
  if (event.event === "claim") details.heard(event.key);
  if (event.event === "claim" && (event.what === "refused" || event.what === "displaced" || event.what === "seized")) {
    toast(fullStop(`${event.key}: ${event.what}, ${event.detail}`));
  }
  drawTimer ??= window.setTimeout(draw, DRAW_MS);
}

function connected(): void {
  known = true;
  document.body.dataset["known"] = "yes";
  byId("lost").hidden = true;
  document.body.dataset["feed"] = "open";
  setText(byId("feed"), "Connected");
}

function connectionLost(why: string, what = "The connection to the relay is lost.", short = "Connection lost"): void {
  byId("lost").hidden = false;
  setText(byId("lost-what"), what);
  setText(byId("lost-why"), known ? `${why} What is shown below may be out of date.` : why);
  document.body.dataset["feed"] = "lost";
  setText(byId("feed"), short);
}

function draw(): void {
  drawTimer = undefined;
  const foreign = foreignBroadcasts(model);
  sections.show(model, foreign);
  targets.show(model.targets);
  byId("targets").hidden = model.targets.length === 0;
  byId("foreign").hidden = foreign.length === 0;
  byId("ended").hidden = ![...model.streams.values()].some((stream) => stream.state === "ended");
  looks.keep(new Set(model.broadcasts.map((broadcast) => broadcast.name)));
  drawSummary();
}

function drawSummary(): void {
  const health = healthOf(model, nowMs());
  const summary = byId("summary");
  summary.dataset["level"] = health.level;
  setText(byId("summary-title"), health.title);
  setText(byId("summary-facts"), health.facts);
  document.title = health.level === "ok" ? "Sluice" : `${health.level === "bad" ? "⚠" : "·"} Sluice`;
  drawPoints(health.points);
}

/** Changes the list in place, so that a focused point stays focused while its seconds count. */
function drawPoints(points: readonly Point[]): void {
  const place = byId("points");
  place.hidden = points.length === 0;
  while (place.children.length > points.length) place.lastElementChild?.remove();
  points.forEach((point, index) => {
    const item = place.children[index] ?? place.appendChild(newPoint());
    const button = item.firstElementChild as HTMLButtonElement;
    button.className = `point ${point.level}`;
    button.dataset["row"] = point.row;
    setText(button, fullStop(point.text));
  });
}

function newPoint(): HTMLElement {
  const go = (event: Event) => {
    const row = document.getElementById((event.currentTarget as HTMLElement).dataset["row"] ?? "");
    row?.closest("details")?.setAttribute("open", "");
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  };
  return el("li", {}, el("button", { type: "button", click: go }));
}
