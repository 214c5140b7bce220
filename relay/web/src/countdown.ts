// `/widget/countdown?stream=app/name&starts=RFC3339&ends=RFC3339`: for the people in a call: how long until they are on
// air, that they are, and how long they still have. The times are the page's, the truth about "on air" is the relay's.
// Also `theme=light|dark` and `title=`.

import { countAt, parseTime, type Count } from "./countdown/count";
import { learnOffset, nowMs } from "./net/clock";
import { answerClient, themeOf } from "./preview/matrix";
import type { Status } from "./preview/status";
import { parseStream } from "./preview/stream";
import { StatusWatch } from "./preview/watch";

const TICK_MS = 200;
const CLOCK_EVERY_MS = 5 * 60_000;

const query = new URLSearchParams(location.search);
const stream = parseStream(query.get("stream"));
const plan = { startsAt: parseTime(query.get("starts")), endsAt: parseTime(query.get("ends")) };
let status: Status | null = null;
let reached = true;
let shownTitle = "";

const setTheme = (theme: "light" | "dark") => (document.documentElement.dataset["theme"] = theme);
const theme = themeOf(query.get("theme"));
if (theme) setTheme(theme);
answerClient(setTheme);
setText("name", (query.get("title") ?? "").slice(0, 200));

if (stream) {
  document.title = `${stream.app}/${stream.name}`;
  new StatusWatch(stream, {
    status: (heard) => {
      status = heard;
      reached = true;
      show();
    },
    unreachable: () => {
      status = null;
      reached = false;
      show();
    },
  }).start();
  void askTime();
  window.setInterval(() => void askTime(), CLOCK_EVERY_MS);
  window.setInterval(show, TICK_MS);
}
show();

function show(): void {
  const count: Count = stream
    ? countAt(nowMs(), plan, status, reached)
    : { mood: "trouble", title: "No stream was named.", figure: "", detail: "The address of this page needs ?stream=app/name." };
  document.body.dataset["mood"] = count.mood;
  setText("title", count.title);
  setText("figure", count.figure);
  setText("detail", count.detail);
  // Figures change each second; only a change of state is worth reading out.
  if (count.title === shownTitle) return;
  shownTitle = count.title;
  setText("live", count.title);
}

async function askTime(): Promise<void> {
  try {
    learnOffset((await fetch("/healthz", { method: "HEAD", cache: "no-store" })).headers.get("date"));
  } catch {
    // Our own clock must do until the next time.
  }
}

function setText(id: string, text: string): void {
  const element = document.getElementById(id);
  if (element && element.textContent !== text) element.textContent = text;
}
