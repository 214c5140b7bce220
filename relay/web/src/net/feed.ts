// A feed of server-sent events that stays up: reads with fetch, because EventSource cannot send an Authorization
// header nor say which status it was refused with; reconnects with backoff; and takes silence for a lost connection.

import { Backoff } from "./backoff";
import { SseParser, type SseMessage } from "./sse";

/** A relay sends at least a comment every 15 s; after this much silence the connection is taken for dead. */
const SILENCE_MS_MAX = 40_000;
/** How long the answer's head may take. */
const ANSWER_MS_MAX = 15_000;

export interface FeedHandler {
  /** The relay answered; messages follow. `date` is its Date header, if any. */
  opened(date: string | null): void;
  message(message: SseMessage): void;
  /** The connection is gone; the next try begins in `retryMs`. */
  lost(retryMs: number): void;
  /** The relay answered, but not with events. Return true to try again with backoff, false to stay closed. */
  refused(response: Response): Promise<boolean> | boolean;
}

export class Feed {
  private readonly backoff = new Backoff({ firstMs: 1_000, longestMs: 15_000 });
  private abort: AbortController | null = null;
  private timer: number | undefined;
  private open = false;

  constructor(
    private readonly url: string,
    private readonly handler: FeedHandler,
    private readonly headers: () => Record<string, string> = () => ({}),
  ) {}

  /** Whether events are arriving. */
  get isOpen(): boolean {
    return this.open;
  }

  start(): void {
    if (!this.abort) void this.run();
  }

  /** Tries again now instead of after the backoff. */
  hurry(): void {
    if (this.open || this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.run();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.open = false;
    const abort = this.abort;
    this.abort = null;
    abort?.abort();
  }

  private async run(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    const again = await this.read(abort);
    // stop() and a later start() put another controller here: this run is then over.
    if (this.abort !== abort) return;
    abort.abort();
    this.open = false;
    if (!again) {
      this.abort = null;
      return;
    }
    const retryMs = this.backoff.next();
    this.handler.lost(retryMs);
    this.timer = window.setTimeout(() => {
      this.timer = undefined;
      void this.run();
    }, retryMs);
  }

  /** Reads until the connection ends; true if it should be tried again. */
  private async read(abort: AbortController): Promise<boolean> {
    let watchdog = window.setTimeout(() => abort.abort(), ANSWER_MS_MAX);
    try {
      const response = await fetch(this.url, {
        headers: { Accept: "text/event-stream", ...this.headers() },
        cache: "no-store",
        signal: abort.signal,
      });
      const isEvents = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
      if (!response.ok || !isEvents || !response.body) {
        if (this.abort !== abort) return false;
        return await this.handler.refused(response);
      }
      this.open = true;
      this.handler.opened(response.headers.get("date"));

      const parser = new SseParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        clearTimeout(watchdog);
        watchdog = window.setTimeout(() => abort.abort(), SILENCE_MS_MAX);
        const { done, value } = await reader.read();
        if (done || this.abort !== abort) return true;
        const messages = parser.push(value);
        // Only real messages prove that the relay is well; a relay that accepts and drops must not be hammered.
        if (messages.length > 0) this.backoff.reset();
        for (const message of messages) this.handler.message(message);
      }
    } catch {
      return true;
    } finally {
      clearTimeout(watchdog);
    }
  }
}
