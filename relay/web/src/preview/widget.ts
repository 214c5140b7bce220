// One player widget: joins what is known of the stream, the player and the face, and tells embedders how it stands.

import { answerClient, themeOf } from "./matrix";
import { phaseOf, type Phase, type PlayerState } from "./phase";
import { Player } from "./player";
import type { Status } from "./status";
import { isPlayable } from "./status";
import { parseStream, streamPath } from "./stream";
import { View } from "./view";
import { StatusWatch } from "./watch";

const LATENCY_EVERY_MS = 500;

/** What an embedding page or a test may read at `window.sluice`. */
export interface WidgetReport {
  readonly state: Phase["state"];
  readonly latencySeconds: number | null;
}

export interface WidgetOptions {
  readonly lowLatency: boolean;
}

export function startWidget(options: WidgetOptions): void {
  const query = new URLSearchParams(location.search);
  const stream = parseStream(query.get("stream"));
  let status: Status | null = null;
  let reached = true;
  let player: PlayerState = "none";
  let played = false;
  let phase: Phase | null = null;
  let watch: StatusWatch | null = null;

  const view = new View({ togglePause: () => video.togglePause() });
  const video = new Player(view.video, {
    lowLatency: options.lowLatency,
    changed: (state) => {
      player = state;
      if (state === "playing") played = true;
      if (state === "stalled") view.freeze();
      if (state === "stalled" || state === "over") watch?.hurry();
      update();
    },
    soundBlocked: () => view.offerSound(),
  });

  const update = () => {
    const next = phaseOf({
      stream: stream ? `${stream.app}/${stream.name}` : null,
      reached,
      status,
      player,
      played,
    });
    phase = next;
    view.show(next);
    watch?.settle(next.state === "live" && reached);
    if (next.attach && status) video.attach(status.hls ?? `/hls/${streamPath(stream!)}/index.m3u8`);
    else if (!next.attach && player !== "none" && player !== "unsupported") {
      played = false;
      view.forgetPicture();
      video.detach();
    }
  };

  const theme = themeOf(query.get("theme"));
  if (theme) view.setTheme(theme);
  view.setCaption((query.get("title") ?? "").slice(0, 200));
  if (query.get("muted") === "1") view.video.muted = true;
  report(() => ({ state: phase?.state ?? "waiting", latencySeconds: video.latencySeconds }));
  answerClient((theme) => view.setTheme(theme));

  if (stream) {
    document.title = `${stream.app}/${stream.name}`;
    watch = new StatusWatch(stream, {
      status: (heard) => {
        // A stream that begins again has shown no picture yet.
        if (status && !isPlayable(status) && isPlayable(heard)) played = player === "playing";
        const back = heard.state === "live" && (!reached || status?.state !== "live");
        reached = true;
        status = heard;
        update();
        if (back) video.hurry();
      },
      unreachable: () => {
        reached = false;
        update();
      },
    });
    watch.start();
    Player.preload();
  }
  update();
  window.setInterval(() => {
    if (phase?.state === "live") view.showLatency(video.latencySeconds);
  }, LATENCY_EVERY_MS);
}

function report(read: () => WidgetReport): void {
  const surface = Object.freeze({
    get state() {
      return read().state;
    },
    get latencySeconds() {
      return read().latencySeconds;
    },
  });
  Object.defineProperty(window, "sluice", { value: surface, writable: false, configurable: false });
}
