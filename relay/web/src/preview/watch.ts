// Watches one stream's status: one small cacheable document, asked for now and then, and a feed of events for the
// moment it changes. Either may be missing. If the relay has no status document at all, the playlist is asked instead.
//
// The feed costs a connection, of which a browser has six per HTTP/1.1 server, and a page may show many widgets. So
// it is open only while there is something to wait for, and in at most two widgets of a browser at once.

import { Backoff, spread } from "../net/backoff";
import { Feed } from "../net/feed";
import { isPlayable, parseStatus, type Status } from "./status";
import { streamPath, type StreamName } from "./stream";

const ANSWER_MS_MAX = 8_000;
/** While the picture runs, or while events arrive anyway. */
const CALM_MS = 10_000;
/** While waiting without events. */
const EAGER_MS = 3_000;
/** Two questions are never closer than this, whoever is in a hurry. */
const HURRY_MS_MIN = 750;
const FEED_SLOTS = 2;
/** So many questions in a row without an answer mean that the relay is out of reach. */
const FAILURES_MAX = 2;

export interface WatchHandler {
  status(status: Status): void;
  unreachable(): void;
}

export class StatusWatch {
  private readonly backoff = new Backoff({ firstMs: 1_000, longestMs: 10_000 });
  private readonly url: string;
  private readonly playlist: string;
  private readonly feed: Feed;
  private timer: number | undefined;
  private askedAt = -Infinity;
  private last: Status | null = null;
  private settled = false;
  private wantsFeed = false;
  private releaseSlot: (() => void) | null = null;

  constructor(
    stream: StreamName,
    private readonly handler: WatchHandler,
  ) {
    const path = streamPath(stream);
    this.url = `/api/v1/status/${path}`;
    this.playlist = `/hls/${path}/index.m3u8`;
    this.feed = new Feed(`${this.url}/events`, {
      opened: () => {},
      message: (message) => {
        if (message.event !== "status") return;
        const status = parseStatus(safeJson(message.data));
        if (status) this.heard(status);
      },
      lost: () => this.hurry(),
      // Without a feed the questions alone must do; it is tried again when there is next something to wait for.
      refused: () => false,
    });
  }

  start(): void {
    this.openFeed();
    void this.ask();
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.hurry();
    });
  }

  /** Tells whether all is as it should be: then the feed is closed and questions are rare. */
  settle(settled: boolean): void {
    if (settled === this.settled) return;
    this.settled = settled;
    if (settled) this.closeFeed();
    else {
      this.openFeed();
      this.hurry();
    }
  }

  /** Asks now, unless that was just done. */
  hurry(): void {
    const wait = Math.max(0, this.askedAt + HURRY_MS_MIN - performance.now());
    this.askAfter(wait);
  }

  private askAfter(ms: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), ms);
  }

  private async ask(): Promise<void> {
    clearTimeout(this.timer);
    this.askedAt = performance.now();
    const status = await this.fetchStatus();
    if (status) {
      this.backoff.reset();
      this.heard(status);
      return;
    }
    const wait = this.backoff.next();
    if (this.backoff.attempts >= FAILURES_MAX) this.handler.unreachable();
    this.askAfter(wait);
  }

  private heard(status: Status): void {
    this.last = status;
    this.handler.status(status);
    const calm = (this.settled && isPlayable(status)) || this.feed.isOpen;
    this.askAfter(spread(calm ? CALM_MS : EAGER_MS, 1 / 3));
  }

  private async fetchStatus(): Promise<Status | null> {
    try {
      const response = await fetch(this.url, { signal: timeout(), credentials: "omit" });
      if (response.ok) return parseStatus(await response.json());
      if (response.status === 404) return await this.probePlaylist();
      return null;
    } catch {
      return null;
    }
  }

  /** The relay keeps no status document: whether there is a playlist says as much as a player needs. */
  private async probePlaylist(): Promise<Status> {
    const response = await fetch(this.playlist, { signal: timeout(), credentials: "omit", cache: "no-cache" });
    await response.text();
    const gone = this.last !== null && this.last.state !== "idle";
    return {
      state: response.ok ? "live" : gone ? "ended" : "idle",
      since: null,
      hls: this.playlist,
      token: null,
      detail: null,
    };
  }

  private openFeed(): void {
    this.wantsFeed = true;
    if (this.releaseSlot) return;
    if (!("locks" in navigator)) {
      // Plain http without locks: only a page of its own may hold a connection.
      if (window.parent === window) this.feed.start();
      return;
    }
    void this.takeSlot();
  }

  private async takeSlot(): Promise<void> {
    for (let slot = 0; slot < FEED_SLOTS && this.wantsFeed && !this.releaseSlot; slot += 1) {
      await navigator.locks
        .request(`sluice-status-events-${slot}`, { ifAvailable: true }, (lock) => this.holdSlot(lock))
        .catch(() => {});
    }
  }

  /** The lock is held until the returned promise ends. */
  private holdSlot(lock: Lock | null): Promise<void> | undefined {
    if (!lock || !this.wantsFeed || this.releaseSlot) return undefined;
    this.feed.start();
    return new Promise((release) => {
      this.releaseSlot = release;
    });
  }

  private closeFeed(): void {
    this.wantsFeed = false;
    this.feed.stop();
    this.releaseSlot?.();
    this.releaseSlot = null;
  }
}

function timeout(): AbortSignal {
  const abort = new AbortController();
  window.setTimeout(() => abort.abort(), ANSWER_MS_MAX);
  return abort.signal;
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
