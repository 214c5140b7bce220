// The widget's face: puts a phase on the page, and turns buttons and keys into wishes. Knows no network.

import type { Phase } from "./phase";

export interface ViewHandler {
  togglePause(): void;
}

const HIDE_AFTER_MS = 2_600;
const VOLUME_KEY = "sluice.volume";
const VOLUME_STEP = 0.1;

export class View {
  readonly video = byId<HTMLVideoElement>("video");
  private readonly stage = byId("stage");
  private readonly title = byId("title");
  private readonly detail = byId("detail");
  private readonly live = byId("live");
  private readonly last = byId<HTMLCanvasElement>("last");
  private readonly badge = byId("badge");
  private readonly latency = byId("latency");
  private readonly unmute = byId<HTMLButtonElement>("unmute");
  private readonly mute = byId<HTMLButtonElement>("mute");
  private readonly pause = byId<HTMLButtonElement>("pause");
  private readonly full = byId<HTMLButtonElement>("full");
  private readonly volume = byId<HTMLInputElement>("volume");
  private hideTimer: number | undefined;

  constructor(private readonly handler: ViewHandler) {
    this.video.volume = storedVolume();
    this.wire();
    this.soundChanged();
  }

  show(phase: Phase): void {
    const changed = this.stage.dataset["phase"] !== phase.state || this.title.textContent !== phase.title;
    this.stage.dataset["phase"] = phase.state;
    this.stage.dataset["picture"] = phase.picture ? "yes" : "no";
    this.badge.hidden = phase.state !== "live";
    if (this.title.textContent !== phase.title) this.title.textContent = phase.title;
    if (this.detail.textContent !== phase.detail) this.detail.textContent = phase.detail;
    if (changed) {
      this.live.textContent = [phase.title, phase.detail].filter(Boolean).join(" ");
      if (phase.state === "live") this.reveal();
    }
  }

  showLatency(seconds: number | null): void {
    const sane = seconds !== null && seconds > -1 && seconds < 3_600;
    const text = sane ? `${Math.max(0, seconds).toFixed(1)} s` : "";
    if (this.latency.textContent !== text) this.latency.textContent = text;
    this.badge.title = sane ? "How far this picture is behind the call" : "";
  }

  /** A line above the picture, shown with the controls. */
  setCaption(text: string): void {
    const caption = byId("caption");
    caption.textContent = text;
    caption.hidden = text === "";
  }

  setTheme(theme: "light" | "dark"): void {
    document.documentElement.dataset["theme"] = theme;
  }

  offerSound(): void {
    this.unmute.hidden = false;
  }

  /** Keeps the last picture, so that a rebuilt player does not show a black hole. */
  freeze(): void {
    const { videoWidth, videoHeight, readyState } = this.video;
    if (readyState < 2 || videoWidth === 0) return;
    this.last.width = videoWidth;
    this.last.height = videoHeight;
    try {
      this.last.getContext("2d")?.drawImage(this.video, 0, 0);
    } catch {
      // A canvas that cannot be had is only a black picture for a moment.
    }
  }

  forgetPicture(): void {
    this.last.width = this.last.height = 0;
  }

  private wire(): void {
    const { stage, video } = this;
    this.unmute.addEventListener("click", () => this.setMuted(false));
    this.mute.addEventListener("click", () => this.setMuted(!video.muted));
    this.pause.addEventListener("click", () => this.handler.togglePause());
    this.full.addEventListener("click", () => this.toggleFull());
    this.volume.addEventListener("input", () => this.setVolume(Number(this.volume.value)));
    stage.addEventListener("dblclick", (event) => {
      if (event.target === video) this.toggleFull();
    });
    stage.addEventListener("pointermove", () => this.reveal());
    stage.addEventListener("pointerdown", () => this.reveal());
    stage.addEventListener("focusin", () => this.reveal());
    stage.addEventListener("pointerleave", () => this.conceal());
    video.addEventListener("volumechange", () => this.soundChanged());
    for (const event of ["play", "pause"]) video.addEventListener(event, () => this.pauseChanged());
    document.addEventListener("fullscreenchange", () => this.fullChanged());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const onVolume = event.target === this.volume;
    const onButton = event.target instanceof HTMLButtonElement;
    const keys: Record<string, () => void> = {
      m: () => this.setMuted(!this.video.muted),
      f: () => this.toggleFull(),
      k: () => this.handler.togglePause(),
      " ": () => this.handler.togglePause(),
      ArrowUp: () => this.setVolume(this.video.volume + VOLUME_STEP),
      ArrowDown: () => this.setVolume(this.video.volume - VOLUME_STEP),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    // Space presses the focused button, arrows move the focused slider: those stay theirs.
    if (!act || (onButton && event.key === " ") || (onVolume && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    act();
    this.reveal();
  }

  private setMuted(muted: boolean): void {
    this.video.muted = muted;
    if (!muted && this.video.volume === 0) this.video.volume = 1;
    if (!muted) this.unmute.hidden = true;
  }

  private setVolume(volume: number): void {
    this.video.volume = Math.min(1, Math.max(0, Math.round(volume * 100) / 100));
    this.setMuted(this.video.volume === 0);
    storeVolume(this.video.volume);
  }

  private soundChanged(): void {
    const silent = this.video.muted || this.video.volume === 0;
    this.stage.dataset["muted"] = silent ? "yes" : "no";
    label(this.mute, silent ? "Sound on (m)" : "Mute (m)");
    this.mute.setAttribute("aria-pressed", String(silent));
    this.volume.value = String(silent ? 0 : this.video.volume);
    if (!silent) this.unmute.hidden = true;
  }

  private pauseChanged(): void {
    this.stage.dataset["paused"] = this.video.paused ? "yes" : "no";
    label(this.pause, this.video.paused ? "Go on, live (space)" : "Pause (space)");
  }

  private toggleFull(): void {
    if (document.fullscreenElement) return void document.exitFullscreen().catch(() => {});
    // An iPhone has full screen for videos only.
    const video = this.video as HTMLVideoElement & { webkitEnterFullscreen?: () => void };
    if (this.stage.requestFullscreen) void this.stage.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  }

  private fullChanged(): void {
    const full = document.fullscreenElement !== null;
    this.stage.dataset["full"] = full ? "yes" : "no";
    label(this.full, full ? "Leave full screen (f)" : "Full screen (f)");
  }

  private reveal(): void {
    this.stage.dataset["controls"] = "shown";
    clearTimeout(this.hideTimer);
    this.hideTimer = window.setTimeout(() => this.conceal(), HIDE_AFTER_MS);
  }

  private conceal(): void {
    delete this.stage.dataset["controls"];
  }
}

function label(button: HTMLButtonElement, text: string): void {
  button.setAttribute("aria-label", text);
  button.title = text;
}

function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

// Storage is walled off in frames of other sites, so it may be missing altogether.

function storedVolume(): number {
  try {
    const stored = Number(localStorage.getItem(VOLUME_KEY) ?? 1);
    return stored > 0 && stored <= 1 ? stored : 1;
  } catch {
    return 1;
  }
}

function storeVolume(volume: number): void {
  try {
    localStorage.setItem(VOLUME_KEY, String(volume));
  } catch {
    // The next visit begins at full volume.
  }
}
