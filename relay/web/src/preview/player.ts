// Plays one stream's HLS in a <video> and keeps at it: what can go wrong with a live stream is met here with a wait
// and another try, never with a tight loop. hls.js first; the browser's own HLS only where there is no Media Source,
// because Chromium's own plays no parts.

import type Hls from "hls.js";
import type { ErrorData, HlsConfig } from "hls.js";
import { Backoff } from "../net/backoff";
import type { PlayerState } from "./phase";

const TICK_MS = 500;
/** Without progress for so long the picture counts as stopped. */
const STALL_MS = 2_500;
/** Without progress for so long the player is built anew. */
const REBUILD_MS = 9_000;
/** A hole in the buffer, as a lost publisher leaves one, is jumped over after so long. */
const GAP_MS = 1_200;
/** Further behind the live edge than this, in seconds, catching up at 1.1× takes too long: jump. */
const BEHIND_SECONDS_MAX = 6;
/** How long an ended playlist is left alone before it is asked again. */
const OVER_MS = 4_000;
/** After so long without a stall the extra distance that stalls added is given back. */
const FORGIVE_MS = 60_000;

export interface PlayerOptions {
  /** Near the live edge, or further back where smoothness matters more. */
  readonly lowLatency: boolean;
  changed(state: PlayerState): void;
  /** Sound was refused by the browser until somebody touches the page. */
  soundBlocked(): void;
}

export class Player {
  private hls: Hls | null = null;
  private url: string | null = null;
  private state: PlayerState = "none";
  private generation = 0;
  private ticker: number | undefined;
  private retry: number | undefined;
  private readonly backoff = new Backoff({ firstMs: 700, longestMs: 8_000 });
  private lastTime = 0;
  private progressAt = 0;
  private triedAt = 0;
  private stalledAt = 0;
  private mediaErrorAt = -Infinity;
  private gently = false;
  private pausedByViewer = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly options: PlayerOptions,
  ) {
    video.addEventListener("ended", () => {
      if (!this.url) return;
      this.set("over");
      // If the stream goes on after all, a new playlist says so.
      this.tryAgain();
    });
    video.addEventListener("error", () => {
      if (!this.hls && this.url) this.tryAgain();
    });
  }

  /** Fetches the player's code before it is needed. */
  static preload(): void {
    void import("hls.js/light").catch(() => {});
  }

  /** Plays a playlist until told otherwise. The same playlist again changes nothing. */
  attach(url: string): void {
    if (this.url === url) return;
    this.detach();
    this.url = url;
    this.set("loading");
    this.ticker = window.setInterval(() => this.tick(), TICK_MS);
    void this.build();
  }

  detach(): void {
    if (this.url === null) return;
    this.url = null;
    this.pausedByViewer = false;
    clearInterval(this.ticker);
    this.teardown();
    this.backoff.reset();
    this.set("none");
  }

  /** There is news that the stream is back: a try that waits for its time is made now. */
  hurry(): void {
    if (this.retry !== undefined) this.load();
  }

  /** The viewer pauses or goes on; going on means at the live edge. */
  togglePause(): void {
    if (!this.url) return;
    if (!this.video.paused) {
      this.pausedByViewer = true;
      this.video.pause();
      this.set("paused");
      return;
    }
    this.pausedByViewer = false;
    this.progressAt = performance.now();
    this.jumpToLive();
    void this.play();
  }

  /** Seconds from the camera to this screen, by the publisher's clock and ours; null if unknown. */
  get latencySeconds(): number | null {
    const shown = this.hls?.playingDate ?? null;
    if (shown) return (Date.now() - shown.getTime()) / 1000;
    if (this.hls && this.hls.latency > 0) return this.hls.latency;
    return null;
  }

  private async build(): Promise<void> {
    const url = this.url;
    if (!url) return;
    this.teardown();
    const generation = this.generation;
    this.progressAt = this.triedAt = performance.now();

    const module = await import("hls.js/light").catch(() => null);
    if (generation !== this.generation) return;
    // The relay restarted while the code was on its way.
    if (!module) return this.tryAgain();
    const Player = module.default;

    if (Player.isSupported()) {
      const hls = new Player(config(this.options.lowLatency));
      this.hls = hls;
      hls.on(Player.Events.MANIFEST_PARSED, () => void this.play());
      hls.on(Player.Events.ERROR, (_, data) => this.failed(data));
      hls.loadSource(url);
      hls.attachMedia(this.video);
    } else if (this.video.canPlayType("application/vnd.apple.mpegurl")) {
      this.video.src = url;
      void this.play();
    } else {
      clearInterval(this.ticker);
      this.set("unsupported");
    }
  }

  private teardown(): void {
    this.generation += 1;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.hls?.destroy();
    this.hls = null;
    if (this.video.hasAttribute("src")) {
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.lastTime = 0;
  }

  private failed(data: ErrorData): void {
    const hls = this.hls;
    if (!hls || !data.fatal) return;
    const now = performance.now();
    if (data.type === "mediaError" && now - this.mediaErrorAt > 5_000) {
      this.mediaErrorAt = now;
      hls.recoverMediaError();
      return;
    }
    this.tryAgain();
  }

  /** Waits, then loads anew: gently while a picture is there to keep, from scratch once that has not helped. */
  private tryAgain(): void {
    if (this.retry !== undefined || !this.url) return;
    const hls = this.hls;
    const over = this.state === "over";
    const gently = !over && hls !== null && hls.levels.length > 0 && this.backoff.attempts < 3;
    const wait = over ? OVER_MS : this.backoff.next();
    if (this.state === "playing") this.set("stalled");
    this.gently = gently;
    this.retry = window.setTimeout(() => this.load(), wait);
  }

  private load(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    this.triedAt = performance.now();
    if (this.gently && this.hls) this.hls.startLoad();
    else void this.build();
  }

  private tick(): void {
    const now = performance.now();
    const time = this.video.currentTime;
    if (time !== this.lastTime && !this.video.paused && !this.video.seeking) {
      // A seek moves the time too, but by far more than half a second's worth of playing.
      const flows = time > this.lastTime && this.video.readyState >= 2;
      this.lastTime = time;
      if (flows) return this.progressed(now);
    }
    if (this.pausedByViewer || this.state === "over" || this.state === "unsupported") return;

    const idleMs = now - this.progressAt;
    if (idleMs > GAP_MS) this.jumpGap();
    if (this.video.paused && this.video.readyState >= 3) void this.play();
    if (idleMs > STALL_MS && this.state === "playing") {
      this.stalledAt = now;
      this.set("stalled");
    }
    const patience = Math.max(REBUILD_MS, now - this.progressAt > 60_000 ? 20_000 : 0);
    if (idleMs > REBUILD_MS && now - this.triedAt > patience && this.retry === undefined) void this.build();
  }

  private progressed(now: number): void {
    this.progressAt = now;
    this.backoff.reset();
    this.set("playing");
    const hls = this.hls;
    if (!hls) return;
    const edge = hls.liveSyncPosition;
    if (edge !== null && edge - this.video.currentTime > BEHIND_SECONDS_MAX) this.video.currentTime = edge;
    if (this.stalledAt > 0 && now - this.stalledAt > FORGIVE_MS) {
      this.stalledAt = 0;
      const target = hls.latestLevelDetails?.partHoldBack || hls.latestLevelDetails?.holdBack;
      if (target) hls.targetLatency = target;
    }
  }

  private jumpGap(): void {
    const { buffered, currentTime } = this.video;
    for (let range = 0; range < buffered.length; range += 1) {
      const start = buffered.start(range);
      const useful = buffered.end(range) - start > 0.3;
      if (start > currentTime + 0.05 && useful) {
        this.video.currentTime = start + 0.02;
        return;
      }
    }
  }

  private jumpToLive(): void {
    const edge = this.hls?.liveSyncPosition;
    if (typeof edge === "number" && edge > this.video.currentTime) this.video.currentTime = edge;
  }

  /** Plays with sound if the browser lets us, without if not. */
  private async play(): Promise<void> {
    if (this.pausedByViewer) return;
    try {
      await this.video.play();
    } catch (error) {
      const blocked = error instanceof DOMException && error.name === "NotAllowedError";
      if (!blocked || this.video.muted) return;
      this.video.muted = true;
      this.options.soundBlocked();
      await this.video.play().catch(() => {});
    }
  }

  private set(state: PlayerState): void {
    if (state === this.state) return;
    this.state = state;
    this.options.changed(state);
  }
}

function config(lowLatency: boolean): Partial<HlsConfig> {
  // Safari stutters at any other rate than 1; only it has a managed Media Source.
  const mayHurry = lowLatency && !("ManagedMediaSource" in window);
  const few = { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2_000 };
  const policy = (firstByteMs: number, loadMs: number, retry: typeof few | null) => ({
    default: { maxTimeToFirstByteMs: firstByteMs, maxLoadTimeMs: loadMs, timeoutRetry: retry, errorRetry: retry },
  });
  return {
    enableWorker: false,
    lowLatencyMode: lowLatency,
    // The default of 1 never catches up with the live edge.
    maxLiveSyncPlaybackRate: mayHurry ? 1.1 : 1,
    // The default adds a whole second for good at each stall.
    liveSyncOnStallIncrease: 0.2,
    backBufferLength: 8,
    maxBufferLength: lowLatency ? 8 : 20,
    liveDurationInfinity: true,
    // One try for the first document: this file's backoff does the rest.
    manifestLoadPolicy: policy(6_000, 8_000, null),
    playlistLoadPolicy: policy(10_000, 12_000, few),
    fragLoadPolicy: policy(8_000, 20_000, few),
  };
}
