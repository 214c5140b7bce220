// The stream that a widget shows, as its address names it: `?stream=app/name`.

export interface StreamName {
  readonly app: string;
  readonly name: string;
}

/** Reads `app/name`; null for anything that cannot be a stream here. The relay has the last word on names. */
export function parseStream(text: string | null): StreamName | null {
  if (!text || text.length > 512) return null;
  const parts = text.split("/").filter((part) => part !== "");
  const clean = parts.every((part) => part !== "." && part !== ".." && !/[\u0000-\u001f\u007f?#]/.test(part));
  if (parts.length < 2 || !clean) return null;
  return { app: parts[0]!, name: parts.slice(1).join("/") };
}

/** `app/name` as a piece of a URL path. */
export function streamPath(stream: StreamName): string {
  return [stream.app, ...stream.name.split("/")].map(encodeURIComponent).join("/");
}
