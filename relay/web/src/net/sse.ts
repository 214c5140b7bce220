// Server-sent events, from text to messages (WHATWG HTML §9.2.6). Pure: the reader feeds it what arrives.
//
// Not here: `retry:` (our own backoff decides) and `id:` (every connection begins with a whole snapshot).

export interface SseMessage {
  readonly event: string;
  readonly data: string;
}

/** The longest event kept, in characters; a longer one is dropped whole, since half of a JSON document helps nobody. */
export const EVENT_CHARS_MAX = 8 * 1024 * 1024;

export class SseParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private chars = 0;
  private sawReturn = false;
  private first = true;

  /** Takes the next piece of text, which may end anywhere; returns the messages that it completed. */
  push(text: string): SseMessage[] {
    let piece = text;
    if (this.first && piece.length > 0) {
      this.first = false;
      if (piece.charCodeAt(0) === 0xfeff) piece = piece.slice(1);
    }
    // A line may end in CR LF whose halves come in two pieces.
    if (this.sawReturn && piece.startsWith("\n")) piece = piece.slice(1);
    if (piece.length > 0) this.sawReturn = piece.endsWith("\r");

    const lines = (this.rest + piece).split(/\r\n|\n|\r/);
    this.rest = lines.pop() ?? "";
    if (this.rest.length > EVENT_CHARS_MAX) {
      this.chars = EVENT_CHARS_MAX + 1;
      this.data = [];
      this.rest = "";
    }

    const messages: SseMessage[] = [];
    for (const line of lines) {
      const message = this.line(line);
      if (message) messages.push(message);
    }
    return messages;
  }

  private line(line: string): SseMessage | null {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return null;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? "" : line.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (field === "event") this.event = value;
    if (field === "data") this.append(value);
    return null;
  }

  private append(value: string): void {
    this.chars += value.length + 1;
    if (this.chars > EVENT_CHARS_MAX) this.data = [];
    else this.data.push(value);
  }

  private dispatch(): SseMessage | null {
    const whole = this.data.length > 0 && this.chars <= EVENT_CHARS_MAX;
    const message = whole ? { event: this.event || "message", data: this.data.join("\n") } : null;
    this.event = "";
    this.data = [];
    this.chars = 0;
    return message;
  }
}
